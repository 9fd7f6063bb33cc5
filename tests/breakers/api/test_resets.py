"""Resets of breakers and of failure domains, by API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from breakers.models import (
    Command,
    ControlDocument,
    DomainMember,
    Override,
)
from breakers.services.expiry import expire_due
from resilience_site.core.models import AuditEntry
from tests.breakers.api.test_steering import FORCED, Make, document

from .conftest import Api


@pytest.mark.parametrize("path", ["breakers/planner/graph", "domains/microsoft"])
@pytest.mark.parametrize(
    "given", [None, {}, {"reason": ""}, {"reason": " \0\n"}, {"reason": None}, {"reason": 7}]
)
def test_a_reset_without_a_reason_is_refused_and_audited(
    operator: Api, domain: None, path: str, given: dict[str, Any] | None
) -> None:
    assert operator("POST", f"{path}/override", FORCED).status_code == 200
    answer = operator("POST", f"{path}/reset", given)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["body.reason"]
    assert not Command.objects.exists()
    assert Override.objects.get().ended_at is None
    refused = AuditEntry.objects.get(action__endswith=".reset.refused")
    kind, _, place = path.partition("/")
    assert (refused.object_type, refused.object_id) == (kind.removesuffix("s"), place)
    assert refused.actor == "a operate key"


def test_a_domain_is_reset_in_all_its_services(operator: Api, domain: None, breaker: Make) -> None:
    breaker("redis")
    operator("POST", "domains/microsoft/override", FORCED)
    operator("POST", "breakers/planner/redis/override", FORCED)
    answer = operator("POST", "domains/microsoft/reset", {"reason": "Microsoft is back"})
    assert (answer.status_code, answer.json()["override"]) == (200, None)
    for service in ("billing", "planner"):
        told = document(service)
        [command] = told["commands"]
        assert (command["action"], command["parameters"]) == ("reset_breaker", {"breaker": "graph"})
        assert (command["reason"], command["actor"]) == ("Microsoft is back", "a operate key")
        assert (told["isolated"], "graph" in told["breakers"]) == ({}, False)
    # What does not belong to it stays as it was.
    assert document("planner")["breakers"]["redis"]["override"]["state"] == "forced_open"
    assert (Override.objects.get(domain="microsoft").ending) == "reverted"
    entry = AuditEntry.objects.get(action="domain.reset")
    assert (entry.object_id, entry.reason) == ("microsoft", "Microsoft is back")
    assert entry.before == {"state": "forced_open"}


def joined(domain: str, count: int) -> None:
    """So many breakers of the planner, all of one domain."""
    DomainMember.objects.bulk_create(
        DomainMember(domain=domain, service="planner", name=f"b{n:03}", source="reported")
        for n in range(count)
    )


def test_the_commands_of_a_reset_are_written_and_ended_together(operator: Api) -> None:
    joined("eu", 200)
    with CaptureQueriesContext(connection) as asked:
        answer = operator("POST", "domains/eu/reset", {"reason": "It is back"})
    assert answer.status_code == 200, answer.content
    inserts = [each for each in asked if 'INSERT INTO "breakers_command"' in each["sql"]]
    assert len(inserts) == 1
    assert len(document()["commands"]) == 200
    assert ControlDocument.objects.get().version == 1
    later = datetime.now(UTC) + timedelta(minutes=6)
    assert expire_due(now=later) == 200
    assert expire_due(now=later) == 0
    assert document()["commands"] == []
    assert ControlDocument.objects.get().version == 2


def test_a_domain_of_too_many_breakers_is_not_reset_and_the_answer_says_what_to_do(
    operator: Api,
) -> None:
    joined("eu", 201)
    operator("POST", "domains/eu/override", FORCED)
    answer = operator("POST", "domains/eu/reset", {"reason": "It is back"})
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert "domain eu has 201 breakers" in detail
    assert "Reset single breakers" in detail
    assert not Command.objects.exists()
    assert Override.objects.get().ended_at is None
    assert AuditEntry.objects.filter(action="domain.reset.refused", object_id="eu").count() == 1


def test_a_domain_is_reset_by_an_operator_and_where_there_is_one(
    operator: Api, viewer: Api, domain: None
) -> None:
    given = {"reason": "a drill"}
    assert viewer("POST", "domains/microsoft/reset", given).status_code == 403
    unknown = operator("POST", "domains/amazon/reset", given)
    assert (unknown.status_code, unknown.json()["allowed"]) == (404, ["microsoft"])
    refused = AuditEntry.objects.filter(action="domain.reset.refused").order_by("id")
    assert [(e.actor, e.object_id) for e in refused] == [
        ("a read key", "microsoft"), ("a operate key", "amazon"),
    ]  # fmt: skip
    assert not Command.objects.exists()
