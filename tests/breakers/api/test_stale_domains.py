"""What changes while a page of a failure domain is open."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from breakers.models import (
    ControlDocument,
    DomainMember,
    Override,
)
from resilience_site.core.models import AuditEntry
from tests.breakers.api.test_steering import FORCED, Make

from .conftest import Api


def _settled(operator: Api) -> None:
    given = {"policy": {"failure_threshold": 9}, "reason": "calmer"}
    assert operator("PUT", "breakers/billing/graph/policy", given).status_code == 200


def _forced(operator: Api) -> None:
    assert operator("POST", "domains/microsoft/override", FORCED).status_code == 200


def _joined(_: Api) -> None:
    DomainMember.objects.create(domain="microsoft", service="planner", name="mail", source="set")


def _left(_: Api) -> None:
    DomainMember.objects.filter(service="billing").delete()


@pytest.mark.parametrize("change", [_settled, _forced, _joined, _left])
def test_a_stale_page_of_a_domain_gets_both_sides(
    operator: Api, domain: None, change: Callable[[Api], None]
) -> None:
    path = "domains/microsoft"
    seen = operator("GET", path)
    tag = seen.headers["ETag"]
    assert tag == f'"{seen.json()["version"]}"'
    change(operator)
    before = list(Override.objects.values_list("state", "ended_at"))
    disabled = {**FORCED, "state": "disabled"}
    answer = operator("POST", f"{path}/override", disabled, if_match=tag)
    assert answer.status_code == 409
    told = answer.json()
    assert told["proposed"]["state"] == "disabled"
    assert told["current"]["domain"] == "microsoft"
    forced = told["current"]["override"]
    assert (forced and forced["state"]) == ("forced_open" if change is _forced else None)
    versions = {name: side["version"] for name, side in told["current"]["services"].items()}
    documents = dict(ControlDocument.objects.values_list("service", "version"))
    members = {"planner"} if change is _left else {"billing", "planner"}
    assert versions == {service: documents.get(service, 0) for service in members}
    assert list(Override.objects.values_list("state", "ended_at")) == before
    assert AuditEntry.objects.filter(action="domain.override.refused").count() == 1

    # With what the refusal told, or with nothing, it goes on.
    again = operator(
        "POST", f"{path}/override", disabled, if_match=f'"{told["current"]["version"]}"'
    )
    assert (again.status_code, again.json()["override"]["state"]) == (200, "disabled")
    assert again.headers["ETag"] == operator("GET", path).headers["ETag"] != tag
    assert operator("POST", f"{path}/override", FORCED).status_code == 200


def test_what_happens_beside_a_domain_does_not_make_its_page_stale(
    operator: Api, domain: None, breaker: Make
) -> None:
    breaker("graph", service="shop")
    tag = operator("GET", "domains/microsoft").headers["ETag"]
    operator("POST", "breakers/shop/graph/override", FORCED)
    answer = operator("POST", "domains/microsoft/override", FORCED, if_match=tag)
    assert answer.status_code == 200
