"""Alert rules over the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerting.domain.rules.catalogue import SAMPLES, kinds_of
from alerting.domain.rules.conditions import (
    BurnCondition,
    EventCondition,
    FigureCondition,
    SilentCondition,
)
from alerting.domain.rules.measures import FIGURES
from alerting.models import AlertRule
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship, rules_shipped
from tests.alerting.rules.history import at, breaker
from tests.alerting.rules.test_setting import EVENT, fields

pytestmark = pytest.mark.django_db
RULES = "/api/v1/alerts/rules"


@pytest.fixture
def call(operator: Client) -> Callable[..., Any]:
    def send(method: str, path: str, body: Any = None, **headers: str) -> Any:
        return getattr(operator, method)(
            RULES + path, body, content_type="application/json", headers=headers or None
        )

    return send


def test_rules_are_made_read_changed_and_deleted(call: Callable[..., Any]) -> None:
    made = call("post", "", fields())
    assert made.status_code == 201
    assert made.headers["ETag"] == '"1"'
    assert made.json()["condition"]["labels"] == {"breaker": "payload.name"}
    changed = call("put", "/mine", {"severity": "page"}, **{"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = call("put", "/mine", {"severity": "info"}, **{"If-Match": '"1"'})
    assert stale.status_code == 409
    assert stale.json()["current"]["severity"] == "page"
    assert call("delete", "/mine").status_code == 204
    assert call("get", "/mine").status_code == 404


def test_all_shipped_rules_are_listed(call: Callable[..., Any]) -> None:
    rules_ship(now=at(0))
    page = call("get", "?limit=15").json()
    known = len(rules_shipped())
    assert known > 10
    rest = call("get", f"?limit=100&cursor={page['next_cursor']}").json()
    assert len(page["items"]) + len(rest["items"]) == known
    paging = call("get", "?severity=page&enabled=true").json()["items"]
    assert "breaker_open" in [each["name"] for each in paging]
    assert call("delete", "/breaker_open").status_code == 422


def test_a_refusal_names_the_fields_of_the_body(call: Callable[..., Any]) -> None:
    refused = call("post", "", fields(condition={**EVENT, "topic": "x"}, severity="page"))
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == ["body.condition.topic"]
    assert call("post", "", fields(colour=1)).json()["errors"][0]["field"] == "body.colour"
    missing = call("post", "", {"condition": {"type": "figure", "metric": "errors"}}).json()
    assert "name: This is needed.; title: This is needed." in missing["detail"]
    bare = fields(condition={"type": "figure", "metric": "errors"})
    assert "condition.threshold: This is needed." in call("post", "", bare).json()["detail"]
    # Also fields that are called like a type of condition.
    odd = {**EVENT, "figure": "errors", "value": 5}
    told = call("post", "", fields(condition=odd)).json()["errors"]
    assert {each["field"] for each in told} == {"body.condition.figure", "body.condition.value"}
    # No list passes for a rule, a body or a condition without fields.
    call("post", "", fields())
    for method, path in (
        ("post", ""),
        ("put", "/mine"),
        ("post", "/trial"),
        ("post", "/mine/trial"),
    ):
        assert call(method, path, []).status_code == 422, path
    for body in ({"rule": []}, {"rule": {"condition": []}}):
        assert call("post", "/mine/trial", body).status_code == 422, body
    assert call("put", "/mine", {"condition": []}).status_code == 422
    assert call("delete", "/mine", None).status_code == 204
    assert call("post", "/trial", {"since": "1h"}).status_code == 422
    for since in ("9d", "yesterday"):
        refused = call("post", "/trial", {"since": since, "rule": fields()})
        assert [each["field"] for each in refused.json()["errors"]] == ["body.since"]


def test_the_schema_tells_each_field_of_each_type_of_condition_with_its_bounds(
    operator: Client,
) -> None:
    known = operator.get("/api/v1/openapi.json").json()["components"]["schemas"]
    told = known["RuleIn"]["properties"]["condition"]
    types = {"event": EventCondition, "silent": SilentCondition,
             "figure": FigureCondition, "burn": BurnCondition}  # fmt: skip
    assert told["discriminator"]["propertyName"] == "type"
    assert told["discriminator"]["mapping"].keys() == types.keys()
    for name, path in told["discriminator"]["mapping"].items():
        form = known[path.rpartition("/")[2]]
        assert form["properties"].keys() == types[name].model_fields.keys()
        untold = [key for key, each in form["properties"].items() if not each.get("description")]
        assert untold == ["type"]
    event, figure = known["EventCondition"]["properties"], known["FigureCondition"]["properties"]
    assert {"default": 1, "minimum": 1, "maximum": 1000}.items() <= event["count"].items()
    assert event["topic"]["enum"] == list(SAMPLES)
    assert all(kind in event["kinds"]["description"] for each in SAMPLES for kind in kinds_of(each))
    assert figure["metric"]["enum"] == list(FIGURES)
    assert known["FigureCondition"]["required"] == ["type", "metric", "threshold"]


def test_a_number_that_the_database_gives_back_whole_does_not_hide_the_rules(
    call: Callable[..., Any],
) -> None:
    call("post", "", fields())
    AlertRule.objects.update(condition={**EVENT, "where": [{"field": "key", "value": 1e300}]})
    (rule,) = call("get", "").json()["items"]
    assert rule["condition"]["where"] == [{"field": "key", "value": 1e300}]


def test_a_trial_says_how_often_it_would_have_fired_with_links(call: Callable[..., Any]) -> None:
    for seconds in (100, 1000, 2000):
        breaker(seconds, "open", f"b{seconds}")
    trial = call("post", "/trial", {"since": "1d", "rule": fields()}).json()
    assert (trial["fired"], trial["words"]) == (3, "It would have fired 3 times.")
    first = trial["alerts"][0]
    assert first["summary"] == "b2000 opened"
    assert first["link"].endswith("/breakers/key-of-b2000")
    assert first["alert_id"] is None
    assert not AlertRule.objects.exists()


def test_a_stored_rule_is_tried_as_it_is_or_with_changes(call: Callable[..., Any]) -> None:
    now = datetime.now(UTC)
    breaker((now - timedelta(minutes=5) - at(0)).total_seconds(), "open")
    call("post", "", fields(condition={**EVENT, "resolve_after_seconds": 3600}))
    # What holds already fires when the rule was made, once what was being written then has come.
    rules_evaluate(now=datetime.now(UTC) + timedelta(seconds=20))
    asked = {"since": (now - timedelta(hours=1)).isoformat()}
    trial = call("post", "/mine/trial", asked).json()
    assert trial["fired"] == 1
    assert trial["alerts"][0]["url"].endswith(f"/alerts/{trial['alerts'][0]['alert_id']}")
    waiting = call("post", "/mine/trial", {**asked, "rule": {"for_seconds": 3000}}).json()
    assert (waiting["fired"], waiting["pending"]) == (0, 1)
