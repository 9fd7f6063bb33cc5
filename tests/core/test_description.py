"""The description of the API tells what the services ask for, and what they answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import orjson
import pytest
from jsonschema import Draft202012Validator

from resilience_site.api import api

Cast = Callable[[str], Any]

WRITES: Final = ("put", "post", "patch", "delete")
# Writes that say all by their address.
WITHOUT_BODY: Final = {
    "post /api/v1/health/checks/{check_id}/run",
    "post /api/v1/health/push/{token}",
    "post /api/v1/alerts/channels/{channel_id}/test",
    "post /api/v1/alerts/channels/{channel_id}/resume",
    "post /api/v1/alerts/channels/{channel_id}/rotate",
}
TYPED: Final = ("type", "anyOf", "oneOf", "enum", "$ref", "const")
# What a body of JSON may hold in place of anything.
STRANGE: Final = (-1e9, 1e9, "x" * 6_000, [[]], {"strange": [[]]})
# What these do not need they do not look at.
PASSED_OVER: Final = (
    "alerts/silences/preview",
    "health/maintenance/preview",
    "healing/workflows",
    "alerts/inbound/grafana",
)

ACCEPTED: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("POST", "keys", {"name": "ci", "scope": "read", "expires_in": 3600}),
    ("PUT", "toggles/planner.write", {"value": True, "reason": "try", "expires_in": 3600}),
    ("POST", "slos", {"service": "planner", "kind": "availability", "objective": 0.999,
                      "window_days": 30, "source": "traces"}),
    ("POST", "slos", {"service": "planner", "kind": "latency", "objective": 0.95,
                      "threshold_ms": 300, "source": "traces", "min_bad": 5, "reason": "quick"}),
    ("POST", "health/checks", {"name": "beat", "kind": "push", "service": "planner",
                               "interval_seconds": 30, "timeout_seconds": 10,
                               "failures_to_down": 3, "successes_to_up": 2, "hard": True}),
    ("POST", "health/maintenance", {"name": "upgrade", "kind": "weekly", "reason": "new version",
                                    "weekdays": [6], "start_time": "02:30",
                                    "duration_seconds": 3600, "timezone": "Europe/Berlin"}),
    ("POST", "health/maintenance/preview", {"kind": "cron", "cron": "0 3 * * *",
                                            "duration_seconds": 600}),
    ("POST", "health/incidents", {"title": "Slow", "text": "We look.", "impact": "degraded"}),
    ("POST", "alerts/silences", {"matchers": {"service": "planner"}, "ends_in": 3600,
                                 "reason": "deploy"}),
    ("POST", "alerts/silences/preview", {"matchers": ["severity=~page|ticket"]}),
    ("POST", "alerts/routes", {"name": "pages", "position": 10, "group_wait_seconds": 0,
                               "matchers": [{"label": "severity", "value": "page"}],
                               "group_by": ["service"], "channels": [], "goes_on": True}),
    ("POST", "alerts/inhibitions", {"name": "quiet", "source": {"severity": "page"},
                                    "target": ["severity=ticket"], "equal": ["service"]}),
    ("POST", "alerts/rules", {
        "name": "mine", "title": "A breaker opens", "severity": "ticket",
        "condition": {"type": "event", "topic": "breakers", "kinds": ["breaker.transition"],
                      "where": [{"field": "state", "value": "open"}],
                      "labels": {"breaker": "payload.name"}, "resolve_after_seconds": 3600},
        "summary": "{{ labels.breaker }} opened", "for_seconds": 0}),
    ("POST", "healing/workflows", {
        "text": "name: wait_a_while\ntitle: Wait a while\n"
        'trigger: {type: pattern_spiking, names: ["*Timeout*"]}\n'
        "steps:\n  - {id: wait, action: wait, with: {seconds: 1}}\n"}),
    ("PUT", "healing/switch", {"stopped": True, "reason": "we move", "expires_in": 60}),
    ("POST", "alerts/inbound/grafana", {
        "status": "firing", "receiver": "ops", "externalURL": "http://grafana.invalid/",
        "alerts": [{"status": "firing", "labels": {"alertname": "Slow"}, "annotations": {},
                    "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
                    "values": {"A": 1.5, "B": None}, "generatorURL": ""}]}),
)  # fmt: skip


@lru_cache
def schema() -> dict[str, Any]:
    """As whoever asks for it reads it."""
    read: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(), default=str))
    return read


def writes() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in schema()["paths"].items():
        for method in WRITES:
            if method in operations:
                yield f"{method} {path}", operations[method]


def form_at(reference: str) -> Any:
    found: Any = schema()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def forms_in(told: Any) -> Iterator[Any]:
    """All that a form holds, also behind references."""
    left, seen = [told], set()
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield each
            left += each.values()
            reference = each.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                left.append(form_at(reference))
        elif isinstance(each, list):
            left += each


def body_of(method: str, path: str) -> dict[str, Any]:
    """The form of a body, by what its write is called with."""
    wanted = path.split("/")
    for name, told in writes():
        verb, _, at = name.partition(" ")
        parts = at.removeprefix("/api/v1/").split("/")
        if verb == method.lower() and len(parts) == len(wanted) and all(
            part == given or part.startswith("{")
            for part, given in zip(parts, wanted, strict=True)
        ):  # fmt: skip
            form: dict[str, Any] = told["requestBody"]["content"]["application/json"]["schema"]
            return form_at(form["$ref"]) if "$ref" in form else form
    raise AssertionError(f"{method} {path} is not described")


def fits(body: Any, form: dict[str, Any]) -> bool:
    return bool(Draft202012Validator({**form, "components": schema()["components"]}).is_valid(body))


def test_every_write_tells_its_body_or_says_all_by_its_address() -> None:
    silent = {
        name
        for name, told in writes()
        if "requestBody" not in told and not name.startswith("delete ")
    }
    assert silent == WITHOUT_BODY


def test_every_field_of_every_body_has_a_type() -> None:
    fields = [
        (name, field, form)
        for name, told in writes()
        for each in forms_in(told.get("requestBody", {}))
        if isinstance(each.get("properties"), dict)
        for field, form in each["properties"].items()
    ]
    assert len(fields) > 300
    assert [each[:2] for each in fields if not set(TYPED) & set(each[2])] == []


def test_what_a_body_needs_is_marked_and_so_is_a_body_that_needs_something() -> None:
    for path, needed in {
        "slos": ["service", "objective"],
        "alerts/silences": ["matchers", "reason"],
        "alerts/routes": ["name"],
        "alerts/channels": ["kind", "name", "target"],
        "alerts/rules": ["name", "title", "severity", "condition", "summary"],
        "breakers/{service}/{name}/override": ["state"],
        "healing/runs": ["workflow", "target", "reason"],
        "health/checks": ["name", "kind", "service"],
    }.items():
        assert body_of("POST", path)["required"] == needed, path
    told = dict(writes())
    for path, needs in (("breakers/{service}/{name}/reset", True), ("keys/{key_id}/revoke", False)):
        assert told[f"post /api/v1/{path}"]["requestBody"]["required"] is needs


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "body"),
    ACCEPTED,
    ids=[f"{path}-{n}" for n, (_, path, _) in enumerate(ACCEPTED)],
)
def test_what_the_description_refuses_the_services_refuse_and_what_they_take_it_tells(
    caller: Cast, method: str, path: str, body: dict[str, Any]
) -> None:
    form = body_of(method, path)

    def asked(given: dict[str, Any]) -> tuple[int, str]:
        answer = caller("key_admin").call(
            method, f"/api/v1/{path}", data=orjson.dumps(given), content_type="application/json"
        )
        return answer.status_code, answer.content.decode()

    assert fits(body, form)
    for field in form.get("required", ()):
        less = {name: value for name, value in body.items() if name != field}
        assert not fits(less, form)
        status, said = asked(less)
        assert (status, f"body.{field}" in said) == (422, True), (field, said)
    for field in () if path in PASSED_OVER else form["properties"]:
        given = [{**body, field: strange} for strange in STRANGE]
        for each in (each for each in given if not fits(each, form)):
            status, said = asked(each)
            assert status in (404, 422), (each, said)
    status, said = asked(body)
    assert status < 300, said


def test_forms_of_one_name_that_are_not_the_same_have_names_of_their_own() -> None:
    def fields(path: str) -> set[str]:
        answer = schema()["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]
        page = form_at(answer["content"]["application/json"]["schema"]["$ref"])
        return set(form_at(page["properties"]["items"]["items"]["$ref"])["properties"])

    assert fields("incidents") >= {"culprit", "cause", "alert_count"}
    assert fields("health/incidents") >= {"stage", "updates"}
    assert not fields("health/incidents") & {"culprit", "cause", "alert_count"}


def test_every_operation_has_an_id_of_its_own_and_every_reference_leads_somewhere() -> None:
    told = [each for path in schema()["paths"].values() for each in path.values()]
    assert [id for id, n in Counter(each["operationId"] for each in told).items() if n > 1] == []
    references = {
        each["$ref"]
        for form in told
        for each in forms_in(form)
        if isinstance(each.get("$ref"), str)
    }
    assert len(references) > 100


def test_the_description_says_how_keys_are_given_and_how_errors_look() -> None:
    about = schema()["info"]["description"]
    for said in (
        "Authorization: Bearer KEY",
        "application/problem+json",
        "next_cursor",
        "If-Match",
    ):
        assert said in about
