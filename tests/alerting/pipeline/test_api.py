"""Alerts, silences and routes over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.test import Client

from alerting.models import Route, Silence
from alerting.services import routes
from alerting.services.shipped_routing import routing_ship
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from resilience_site.core.keys import key_create
from tests.alerting.pipeline.scene import INTERVAL, WAIT, Scene, channel_made, route_made

pytestmark = pytest.mark.django_db


class Api:
    """Calls with a key of the scope operate."""

    def __init__(self) -> None:
        _, token = key_create(name="ops", scope=Scope.OPERATE, actor=Actor.system("test"))
        self.client = Client(headers={"Authorization": f"Bearer {token}"})

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = self.client.generic(
            method, f"/api/v1/{path}",
            b"" if body is None else orjson.dumps(body),
            content_type="application/json", headers=headers,
        )  # fmt: skip
        return answer.status_code, answer.json() if answer.content else None


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def scene() -> Scene:
    return Scene(now=datetime.now(UTC) - timedelta(minutes=10))


def test_alerts_are_listed_newest_first_and_narrowed(api: Api, scene: Scene) -> None:
    scene.fire("a")
    scene.wait(1)
    scene.fire("b", severity="ticket", team="x")
    scene.fire("a", service="tasks")
    scene.resolve("a", service="tasks")
    status, found = api("GET", "alerts?limit=2")
    assert status == 200
    assert len(found["items"]) == 2
    rest = api("GET", f"alerts?limit=2&cursor={found['next_cursor']}")[1]
    assert [each["rule"] for each in rest["items"]] == ["a"]
    for query, count in (
        ("state=open", 2), ("state=firing", 2), ("state=resolved", 1), ("severity=ticket", 1),
        ("service=tasks", 1), ("rule=b", 1), ("q=b%20of", 1), ("suppressed=true", 0),
        ("since=1h", 3), ("until=now-1h&since=2h", 0),
    ):  # fmt: skip
        assert len(api("GET", f"alerts?{query}")[1]["items"]) == count, query
    assert api("GET", "alerts?state=loud")[0] == 422
    one = api("GET", "alerts?rule=b")[1]["items"][0]
    assert one["labels"]["team"] == "x"
    assert {"id", "rule", "severity", "state", "labels", "started_at", "ended_at", "incident_id",
            "suppressed_by"} <= set(one)  # fmt: skip


def test_an_alert_says_who_was_told_and_what_was_sent(api: Api, scene: Scene) -> None:
    route_made("all", channel_made())
    (alert,) = scene.fire("a")
    scene.turn()
    found = api("GET", f"alerts/{alert.id}")[1]
    assert found["deliveries"] == []
    assert (found["groups"][0]["route"], found["groups"][0]["told"]) == ("all", [])
    scene.wait(WAIT)
    found = api("GET", f"alerts/{alert.id}")[1]
    assert found["why_not_told"] == ""
    assert [each["channel"] for each in found["groups"][0]["told"]] == ["ops"]
    assert [each["channel"] for each in found["deliveries"]] == ["ops"]
    # Also long after, when its channels have been told of other things.
    scene.resolve("a")
    scene.fire("b")
    scene.wait(INTERVAL)
    scene.resolve("b")
    scene.wait(INTERVAL)
    assert api("GET", f"alerts/{alert.id}")[1]["why_not_told"] == ""
    assert api("GET", f"alerts/{uuid4()}")[0] == 404


def test_an_alert_that_was_over_before_the_wait_says_so(api: Api, scene: Scene) -> None:
    route_made("all", channel_made())
    (alert,) = scene.fire("a")
    scene.turn()
    scene.resolve("a")
    scene.wait(WAIT)
    found = api("GET", f"alerts/{alert.id}")[1]
    assert found["why_not_told"] == "It was over before anybody was to be told."


def test_an_alert_says_why_nobody_is_told(api: Api, scene: Scene) -> None:
    route_made("all")
    (alert,) = scene.fire("a")
    scene.turn()
    scene.wait(WAIT)
    found = api("GET", f"alerts/{alert.id}")[1]
    assert found["why_not_told"] == (
        "The route all has no channel that is enabled, and no other channel works."
    )
    Silence.objects.create(
        matchers=[{"label": "service", "op": "=", "value": "planner"}], starts_at=scene.now,
        ends_at=scene.now + timedelta(hours=1), reason="deploy", actor="anna", created_at=scene.now,
    )  # fmt: skip
    scene.turn()
    found = api("GET", f"alerts/{alert.id}")[1]
    assert found["why_not_told"].startswith("Silenced by anna until ")
    assert found["suppressed_by"][0]["kind"] == "silence"


def test_a_silence_is_made_previewed_listed_and_ended(api: Api, scene: Scene) -> None:
    scene.fire("a", "b")
    matchers = {"service": "planner", "alertname": "a"}
    status, hits = api("POST", "alerts/silences/preview", {"matchers": matchers})
    assert status == 200
    assert (hits["now"], hits["open"], hits["week"]) == (1, 2, 1)
    assert hits["by_rule"] == [{"rule": "a", "alerts": 1}]
    body = {"matchers": matchers, "ends_in": 3600, "reason": "deploy"}
    status, made = api("POST", "alerts/silences", body)
    assert status == 201
    assert (made["state"], made["reason"], made["actor"]) == ("active", "deploy", "ops")
    assert {"label": "alertname", "op": "=", "value": "a"} in made["matchers"]
    assert [each["id"] for each in api("GET", "alerts/silences?state=active")[1]["items"]] == [
        made["id"]
    ]
    status, ended = api("DELETE", f"alerts/silences/{made['id']}")
    assert (status, ended["state"], ended["ended_by"]) == (200, "over", "ops")
    assert api("DELETE", f"alerts/silences/{made['id']}")[0] == 422
    assert api("GET", f"alerts/silences/{made['id']}")[1]["state"] == "over"
    assert api("GET", "alerts/silences?state=active")[1]["items"] == []


def test_a_silence_that_would_be_over_is_told_to_end_in_the_future(api: Api) -> None:
    given = {"matchers": {"service": "planner"}, "reason": "x"}
    for end in ({"ends_in": -5}, {"ends_at": "2020-01-01T00:00:00Z"}):
        status, problem = api("POST", "alerts/silences", {**given, **end})
        assert status == 422
        assert "must end in the future" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"matchers": {"service": "planner"}, "reason": "x"}, "body.ends_in"),
        ({"matchers": {}, "ends_in": 60, "reason": "x"}, "body.matchers"),
        ({"matchers": {"service": "planner"}, "ends_in": 3600}, "body.reason"),
        ({"matchers": {"service": "planner"}, "ends_in": 3600, "forever": True}, "body.forever"),
        ({"matchers": {"a": "b"}, "ends_at": "soon", "reason": "x"}, "body.ends_at"),
        ({"matchers": {"a": "b"}, "ends_in": 1e99, "reason": "x"}, "body.ends_in"),
    ],
)
def test_a_silence_that_cannot_be_names_the_field(api: Api, body: Any, field: str) -> None:
    status, problem = api("POST", "alerts/silences", body)
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == [field]


def test_routes_are_made_tried_changed_and_deleted(api: Api) -> None:
    routing_ship()
    channel_made("chat")
    channel_made("pager")
    body = {"name": "pages", "position": 10, "matchers": ["severity=page"], "channels": ["pager"]}
    status, made = api("POST", "alerts/routes", body)
    assert status == 201
    assert (made["origin"], made["version"], made["group_wait_seconds"]) == ("person", 1, 30)
    listed = api("GET", "alerts/routes")[1]["items"]
    assert [each["name"] for each in listed] == ["pages", "default"]
    labels = {"severity": "page", "service": "planner"}
    tried = api("POST", "alerts/routes/test", {"labels": labels})[1]
    assert [(each["route"], each["channels"]) for each in tried["routes"]] == [("pages", ["pager"])]
    labels["severity"] = "info"
    tried = api("POST", "alerts/routes/test", {"labels": labels})[1]
    assert [each["channels"] for each in tried["routes"]] == [["chat", "pager"]]
    assert tried["routes"][0]["group_labels"] == labels
    changed = api("PUT", "alerts/routes/pages", {"goes_on": True}, **{"If-Match": '"1"'})
    assert (changed[0], changed[1]["version"], changed[1]["channels"]) == (200, 2, ["pager"])
    status, problem = api("PUT", "alerts/routes/pages", {"goes_on": False}, **{"If-Match": '"1"'})
    assert (status, problem["current"]["version"]) == (409, 2)
    # No list passes for a change of no field.
    status, problem = api("PUT", "alerts/routes/pages", [])
    assert (status, problem["errors"][0]["field"]) == (422, "body")
    assert api("DELETE", "alerts/routes/pages")[0] == 204
    assert api("GET", "alerts/routes/pages")[0] == 404
    assert Route.objects.count() == 1


def test_a_route_takes_names_and_ids_of_channels_alike(api: Api) -> None:
    routing_ship()
    chat, pager = channel_made("chat"), channel_made("pager")
    # Of a name that looks like an id of another, the name is meant.
    odd = channel_made(str(pager.id))
    body = {"name": "both", "channels": [str(chat.id).upper(), "pager", "chat"]}
    status, made = api("POST", "alerts/routes", body)
    assert (status, made["channels"]) == (201, ["chat", "pager"])
    made = api("PUT", "alerts/routes/both", {"channels": [str(pager.id)]})[1]
    assert made["channels"] == [odd.name]
    status, problem = api("PUT", "alerts/routes/both", {"channels": [str(uuid4())]})
    assert (status, problem["errors"][0]["field"]) == (422, "body.channels")


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("x", {"position": 0}, "position"), ("x", {"position": 10_000}, "position"),
        ("x", {"matchers": ["a"]}, "matchers"), ("x", {"channels": ["nobody"]}, "channels"),
        ("x", {"group_by": ["a b"]}, "group_by"), ("x", {"goes_on": "yes"}, "goes_on"),
        ("x", {"repeat_interval_seconds": 1}, "repeat_interval_seconds"),
        ("test", {}, "name"), ("a/b", {}, "name"), ("default", {}, "name"), (None, {}, "name"),
    ],
)  # fmt: skip
def test_a_route_that_cannot_be_names_the_field(
    api: Api, name: Any, fields: dict[str, Any], field: str
) -> None:
    routing_ship()
    status, problem = api("POST", "alerts/routes", {"name": name, **fields})
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == [f"body.{field}"]


def test_the_default_route_stays_the_last_that_takes_what_is_left(api: Api) -> None:
    routing_ship()
    for change in ({"matchers": ["a=b"]}, {"enabled": False}, {"position": 1}):
        assert api("PUT", "alerts/routes/default", change)[0] == 422
    assert api("DELETE", "alerts/routes/default")[0] == 422
    status, changed = api("PUT", "alerts/routes/default", {"every_channel": False})
    assert (status, changed["every_channel"], changed["version"]) == (200, False, 2)


def test_an_inhibition_is_switched_off(api: Api) -> None:
    routing_ship()
    listed = api("GET", "alerts/inhibitions")[1]["items"]
    name = listed[0]["name"]
    status, changed = api("PUT", f"alerts/inhibitions/{name}", {"enabled": False})
    assert (status, changed["enabled"]) == (200, False)
    assert api("PUT", f"alerts/inhibitions/{name}", {"enabled": "off"})[0] == 422
    assert api("PUT", "alerts/inhibitions/none", {"enabled": False})[0] == 404


def test_a_route_whose_name_cannot_be_kept_is_refused(api: Api) -> None:
    status, refused = api("POST", "alerts/routes", {"name": "a\0b"})
    assert (status, refused["errors"][0]["field"]) == (422, "body.name")


def test_there_are_no_more_routes_than_alerts_can_be_held_against(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MOST_ROUTES", 1)
    assert api("POST", "alerts/routes", {"name": "a", "matchers": {"team": "x"}})[0] == 201
    assert api("POST", "alerts/routes", {"name": "b", "matchers": {"team": "y"}})[0] == 422
