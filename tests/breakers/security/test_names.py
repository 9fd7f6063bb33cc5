"""Names, reasons and values that were made to break something: stored, refused or shown as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.dom import minidom

import orjson
import pytest
from django.test import Client

from analytics.domain.telemetry import Decoded, LogRecord
from analytics.services.ingest_logs import store_logs
from breakers.domain.document import view
from breakers.models import Breaker, ControlDocument, DomainMember, Override, Toggle
from breakers.services.degraded import degraded_set
from breakers.services.overrides import Target, override_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.analytics.store.telemetry import log, resource
from tests.breakers.api.conftest import Api

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '"onmouseover=alert(1) x="'
NAMES = [SCRIPT, ATTRIBUTE, "a\nb", "..", "//evil.example", "javascript:alert(1)", "?#%", "\x1b[0m"]
LISTS = [
    "/", "/breakers", "/domains", "/retries", "/fallbacks", "/bulkheads", "/toggles", "/degraded",
    "/services", "/status", "/status.json", "/status/feed.rss",
]  # fmt: skip
TOGGLE = {"value": True, "reason": "a drill", "expires_in": 60}


def event(name: str, source: str, **attributes: Any) -> LogRecord:
    given = {f"resilience.{key.replace('__', '.')}": value for key, value in attributes.items()}
    record = log(
        "x", at=datetime.now(UTC), event_name=f"resilience.{name}", source=resource(source, source)
    )
    return record._replace(attributes=given)


def events_of(name: str) -> list[LogRecord]:
    return [
        event("breaker.transition", name, breaker__name=name, breaker__from_state="closed",
              breaker__to_state="open", breaker__reason=name),
        event("breaker.configured", name, breaker__name=name,
              breaker__policy=json.dumps({"failure_threshold": 4, name: name}),
              breaker__domains=f"{name},\0"),
        event("retry.attempt", name, dependency=name, retry__attempt=1, retry__outcome=name,
              retry__classification=name),
        event("fallback.served", name, dependency=name, fallback__source=name),
        event("bulkhead.rejected", name, bulkhead__name=name, bulkhead__tier=name,
              bulkhead__reason=name),
        event("bulkhead.breach", name, bulkhead__name=name, bulkhead__kind=name,
              bulkhead__mitigation=name),
    ]  # fmt: skip


def store(records: list[LogRecord]) -> None:
    store_logs(Decoded(records, []), received_at=datetime.now(UTC))


@pytest.mark.timeout(400)
def test_whatever_services_call_things_is_shown_as_text(as_role: Callable[[Role], Client]) -> None:
    store([each for name in NAMES for each in events_of(name)])
    ana = Actor.system(SCRIPT)
    for name in NAMES:
        override_set(
            target=Target.of_breaker(name, name, name), state="forced_open", reason=SCRIPT,
            expires_in=600, actor=ana, role=Role.OPERATOR,
        )  # fmt: skip
        degraded_set(
            service=name, level="reduced", notice=f"{SCRIPT}\x01", reason=SCRIPT, actor=ana,
            role=Role.OPERATOR,
        )  # fmt: skip
    for domain in set(DomainMember.objects.values_list("domain", flat=True)):
        override_set(
            target=Target.of_domain(domain), state="forced_open", reason=SCRIPT, expires_in=600,
            actor=ana, role=Role.OPERATOR,
        )  # fmt: skip
    operator = as_role(Role.OPERATOR)
    paths = [*LISTS]
    for breaker in Breaker.objects.all():
        paths += [f"/breakers/{breaker.key}{end}" for end in ("", "/override", "/policy")]
        paths += [f"/blast-radius/{breaker.key}"]
        service = quote(breaker.service, safe="")
        paths += [f"/degraded/{service}", f"/degraded/{service}/set", f"/services/{service}"]
    for path in paths:
        answer = operator.get(path)
        assert answer.status_code == 200, path
        if "json" in answer.headers["Content-Type"]:
            continue
        assert SCRIPT not in answer.text, path
        assert ATTRIBUTE not in answer.text, path
        assert 'href="javascript:' not in answer.text, path
    minidom.parseString(operator.get("/status/feed.rss").content)


def test_a_policy_with_a_number_beyond_all_floats_does_not_keep_the_rest_of_a_request_out() -> None:
    huge = f'{{"timeout": 1{"0" * 400}, "failure_threshold": 4}}'
    store(
        [
            event("breaker.configured", "planner", breaker__name="graph", breaker__policy=huge),
            *events_of("billing"),
        ]
    )
    assert Breaker.objects.get(service="planner").policy == {"failure_threshold": 4}
    assert Breaker.objects.filter(service="billing").exists()


def nested(depth: int) -> Any:
    return orjson.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": "a\0b"},
        {"value": {"a\0": [1]}},
        {"otherwise": ["a", {"b": "\0"}]},
        {"value": nested(33)},
        {"value": nested(252)},
        {"instances": ["\0"]},
        {"instances": [" "]},
        {"instances": ["i" * 201]},
        {"services": ["\0"]},
        {"owner": "o" * 201},
        {"description": "d" * 1001},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_a_toggle_that_cannot_be_stored_or_served_is_refused(
    operator_key: Api, wrong: dict[str, Any]
) -> None:
    answer = operator_key("PUT", "toggles/planner.write", {**TOGGLE, **wrong})
    assert answer.status_code == 422, answer.content
    assert not Toggle.objects.exists()
    assert AuditEntry.objects.filter(action="toggle.set.refused").count() == 1


def test_the_deepest_value_that_is_taken_can_be_served(operator_key: Api, planner: Breaker) -> None:
    given = {**TOGGLE, "value": nested(32), "instances": ["planner-1\0"]}
    assert operator_key("PUT", "toggles/planner.write", given).status_code == 200
    document = ControlDocument.objects.get(service=planner.service).document
    served = view(document, instance="planner-1", now=datetime.now(UTC))
    assert orjson.loads(orjson.dumps(served))["toggles"]["planner.write"]["value"] == nested(32)


@pytest.mark.parametrize("blank", ["\0", " ", "\0 \n"])
@pytest.mark.parametrize("act", ["override", "reset"])
def test_an_instance_that_says_nothing_does_not_come_to_mean_all(
    operator_key: Api, planner: Breaker, act: str, blank: str
) -> None:
    given = {"state": "forced_open", "reason": "a drill", "expires_in": 60, "instance": blank}
    answer = operator_key("POST", f"breakers/{planner.service}/{planner.name}/{act}", given)
    assert answer.status_code == 422
    assert not Override.objects.exists()


@pytest.mark.parametrize(
    ("act", "given"),
    [
        ("override", {"instance": "\0"}),
        ("override", {"scope": "instance:\0"}),
        ("override", {"scope": "domain:\0"}),
        ("override", {"scope": "\0"}),
        ("override", {"state": "\0"}),
        ("reset", {"instance": "\0"}),
    ],
)
def test_nul_in_a_form_is_refused(
    as_role: Callable[[Role], Client], planner: Breaker, act: str, given: dict[str, str]
) -> None:
    form = {"state": "forced_open", "reason": "a drill", "expires_in": "600", **given}
    answer = as_role(Role.OPERATOR).post(f"/breakers/{planner.key}/{act}", form)
    assert answer.status_code in (404, 422)
    assert not Override.objects.exists()
