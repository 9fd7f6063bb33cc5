"""Pages whose routes have no channel in use go by one that works, once; every screen says so alike."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from alerting.models import Alert, Channel, Delivery, Incident, Route
from alerting.services import channels
from resilience_site.config import config
from resilience_site.core.audit import Actor
from tests.alerting.pipeline.scene import (
    INTERVAL,
    NOON,
    REPEAT,
    WAIT,
    Scene,
    channel_made,
    route_made,
    why_of,
)
from tests.alerting.pipeline.test_api import Api

pytestmark = pytest.mark.django_db

ANNA = Actor.system("anna")


@pytest.fixture(autouse=True)
def delivering() -> Iterator[None]:
    with config.override(proactive_alerting_enabled=True):
        yield


@dataclass
class Ways:
    """What stands before an alert fires: `routes` with the names of their channels in the order in
    which they are tried, all but the last of which go on; `every` are all channels, by how they are."""

    routes: list[list[str]]
    every: dict[str, dict[str, object]] = field(default_factory=lambda: {"other": {}})

    def make(self) -> None:
        made = {name: channel_made(name, **fields) for name, fields in self.every.items()}
        for n, names in enumerate(self.routes):
            route_made(
                f"r{n}", *(made[name] for name in names), position=n,
                goes_on=n < len(self.routes) - 1,
            )  # fmt: skip


OFF: dict[str, object] = {"enabled": False}
PAUSED: dict[str, object] = {"paused_at": NOON, "paused_why": "anna paused it"}
# The ways of a page, and whom it is told.
TABLE = {
    "a route without a channel": (Ways([[]]), ["other"]),
    "a route whose channel is off": (Ways([["ops"]], {"ops": OFF, "other": {}}), ["other"]),
    "a route with a channel that works": (Ways([["ops"]], {"ops": {}, "other": {}}), ["ops"]),
    "two routes, one of which tells": (Ways([[], ["ops"]], {"ops": {}, "other": {}}), ["ops"]),
    "two routes, the later of which tells nobody": (
        Ways([["ops"], []], {"ops": {}, "other": {}}), ["ops"],
    ),
    "two routes without a channel": (Ways([[], []]), ["other"]),
    "the one that works best": (Ways([[]], {"a": PAUSED, "b": {"failures": 1}, "c": {}}), ["c"]),
    "nobody, as no other channel works": (Ways([[]], {"a": OFF, "b": PAUSED}), []),
    "nobody, as there is no channel": (Ways([[]], {}), []),
}  # fmt: skip


@pytest.mark.parametrize(("ways", "wanted"), TABLE.values(), ids=TABLE)
def test_who_hears_of_a_page_whose_routes_tell_nobody(ways: Ways, wanted: list[str]) -> None:
    ways.make()
    scene = Scene()
    scene.fire("a")
    scene.turn()
    told = scene.wait(WAIT)
    assert [(name, why_of(message)) for name, message in told] == [(n, "first") for n in wanted]
    # Once: neither at the next looks at its group, nor by another way.
    assert [scene.wait(INTERVAL) for _ in range(3)] == [[], [], []]
    scene.resolve("a")
    ends = [(name, why_of(message)) for name, message in scene.wait(INTERVAL)]
    assert ends == [(name, "resolved") for name in wanted]


def test_what_is_less_urgent_than_a_page_goes_to_nobody() -> None:
    Ways([[]]).make()
    scene = Scene()
    scene.fire("a", severity="ticket")
    scene.fire("p")
    scene.turn()
    ((name, message),) = scene.wait(WAIT)
    assert (name, [each.rule for each in message.alerts]) == ("other", ["p"])
    assert message.note == "Sent here because the route r0 has no channel that is enabled."


def test_a_fallback_of_a_channel_that_is_off_stands_in_before_the_others() -> None:
    route_made("all", channel_made("ops", enabled=False, fallback=channel_made("second")))
    channel_made("another")
    scene = Scene()
    scene.fire("a")
    scene.turn()
    assert [name for name, _ in scene.wait(WAIT)] == ["second"]


def test_who_stood_in_goes_on_to_and_hears_the_end_where_the_route_is_given_a_channel() -> None:
    route = route_made("all")
    other = channel_made("other")
    scene = Scene()
    scene.fire("a")
    scene.turn()
    scene.wait(WAIT)
    # Another one works better since: whoever knows of it goes on.
    Channel.objects.filter(pk=other.pk).update(failures=1)
    channel_made("better")
    assert scene.wait(INTERVAL) == []
    assert [name for name, _ in scene.wait(REPEAT)] == ["other"]
    route.channels.set([channel_made("ops")])
    assert [(n, why_of(m)) for n, m in scene.wait(INTERVAL)] == [("ops", "first")]
    scene.resolve("a")
    ends = [(n, why_of(m)) for n, m in scene.wait(INTERVAL)]
    assert ends == [("ops", "resolved"), ("other", "resolved")]


def test_a_page_that_nobody_could_take_is_told_once_a_channel_works() -> None:
    Ways([[]], {"other": dict(PAUSED)}).make()
    scene = Scene()
    scene.fire("a")
    scene.turn()
    assert [scene.wait(WAIT), scene.wait(INTERVAL)] == [[], []]
    channels.channel_resume(channel_id=Channel.objects.get().pk, actor=ANNA, now=scene.now)
    assert [name for name, _ in scene.wait(INTERVAL)] == ["other"]
    assert scene.wait(INTERVAL) == []


def test_a_deleted_channel_leaves_a_page_to_another() -> None:
    gone = channel_made("gone")
    channel_made("other")
    route_made("all", gone)
    alone = channels.channel_delete(channel_id=gone.pk, actor=ANNA, now=NOON)
    assert alone.routes == ("all",)
    scene = Scene()
    scene.fire("a")
    scene.turn()
    assert [name for name, _ in scene.wait(WAIT)] == ["other"]


# --- What the screens say --------------------------------------------------------------------------


def _told(text: str) -> str:
    """What the cell of the list, or a page, says in words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _fired(severity: str = "page") -> Callable[[Scene], Alert]:
    def fire(scene: Scene) -> Alert:
        (alert,) = scene.fire("a", severity=severity)
        scene.turn()
        return alert

    return fire


def _sent(state: str) -> Callable[[Scene], Alert]:
    def send(scene: Scene) -> Alert:
        alert = _fired()(scene)
        scene.wait(WAIT)
        Delivery.objects.update(state=state, ended_at=scene.now, last_error="it said 500")
        return alert

    return send


def _silenced(scene: Scene) -> Alert:
    alert = _fired()(scene)
    Alert.objects.update(suppressed_by=[{"kind": "silence", "id": "1", "text": "Silenced by anna"}])
    return alert


NOBODY = "The route r0 has no channel that is enabled"
# What was done; what the API says; why nobody is told; what stands in the list.
SAID = {
    "to be told": (Ways([["other"]]), _fired(), "soon", "", "soon, by its routes"),
    "a page, by another": (Ways([[]]), _fired(), "soon", "", "soon, by another channel"),
    "a ticket, by nobody": (Ways([[]]), _fired("ticket"), "nobody", f"{NOBODY}.", "Nobody"),
    "a page, by nobody": (
        Ways([[]], {}), _fired(), "nobody", f"{NOBODY}, and no other channel works.", "Nobody",
    ),
    "on its way": (Ways([["other"]]), _sent("pending"), "waits", "", "Waiting nobody has it yet"),
    "delivered": (Ways([["other"]]), _sent("delivered"), "told", "", "Delivered"),
    "failed": (
        Ways([["other"]]), _sent("failed"), "nobody",
        "Every message of it failed, by each channel that was tried.", "Nobody",
    ),
    "held": (Ways([["other"]]), _silenced, "held", "Silenced by anna.", "Held back"),
}  # fmt: skip


@pytest.mark.parametrize(("ways", "do", "told", "why", "listed"), SAID.values(), ids=SAID)
def test_list_page_api_and_incident_agree_on_whether_somebody_is_told(
    viewer: Client, ways: Ways, do: Callable[[Scene], Alert], told: str, why: str, listed: str
) -> None:
    ways.make()
    alert = do(Scene(now=datetime.now(UTC) - timedelta(minutes=10)))
    incident = Incident.objects.create(
        title="x",
        state="open",
        severity="page",
        started_at=alert.started_at,
        changed_at=alert.started_at,
    )
    Alert.objects.update(incident=incident)
    api = Api()
    one = api("GET", f"alerts/{alert.pk}")[1]
    (row,) = api("GET", "alerts")[1]["items"]
    (part,) = api("GET", f"incidents/{incident.pk}")[1]["alerts"]
    for found in (one, row, part):
        assert (found["told"], found["why_not_told"]) == (told, why)
    for path in ("/alerts", "/alerts?state=any"):
        cell = re.search(r'data-label="Told">(.*?)</td>', viewer.get(path).content.decode(), re.S)
        assert cell is not None
        assert _told(cell[1]).startswith(listed)
        assert why.rstrip(".") in _told(cell[1])
    page = _told(viewer.get(f"/alerts/{alert.pk}").content.decode())
    assert ("Nobody is told of it." in page) == bool(why)
    assert why in page
    incident_page = _told(viewer.get(f"/incidents/{incident.pk}").content.decode())
    assert (f"; nobody is told: {why}" in incident_page) == bool(why)


def test_whoever_takes_the_last_channel_of_a_route_is_told_what_that_means_before(
    operator: Client,
) -> None:
    ops, other = channel_made("ops"), channel_made("other")
    route_made("pages", ops)
    route_made("both", ops, other)
    means = (
        "The route pages then tells nobody: pages go by any other channel that works, and nobody "
        "hears of the rest, until it has another channel."
    )
    api = Api()
    shown = api("GET", f"alerts/channels/{ops.pk}")[1]
    assert (shown["only_channel_of"], shown["warning"]) == (["pages"], "")
    assert [each["only_channel_of"] for each in api("GET", "alerts/channels")[1]["items"]] == [
        ["pages"], [],
    ]  # fmt: skip
    for act in ("delete", "edit"):
        assert means in _told(operator.get(f"/alerts/channels/{ops.pk}/{act}").content.decode())
        page = _told(operator.get(f"/alerts/channels/{other.pk}/{act}").content.decode())
        assert "then tells nobody" not in page
    off = api("PATCH", f"alerts/channels/{ops.pk}", {"enabled": False})[1]
    assert off["warning"] == means
    assert api("DELETE", f"alerts/channels/{ops.pk}") == (
        200, {"only_channel_of": ["pages"], "warning": means},
    )  # fmt: skip
    last = api("DELETE", f"alerts/channels/{other.pk}")[1]
    assert last["only_channel_of"] == ["both"]
    assert "no other channel is enabled: nobody hears of any alert" in last["warning"]


def test_a_route_that_tells_nobody_is_shown_as_such_and_says_so_when_it_is_saved(
    operator: Client,
) -> None:
    channel_made("ops", enabled=False)
    channel_made("other")
    api = Api()
    status, made = api("POST", "alerts/routes", {"name": "none", "channels": [], "position": 1})
    assert (status, made["tells_nobody"]) == (201, True)
    api("POST", "alerts/routes", {"name": "off", "channels": ["ops"], "position": 2})
    api("POST", "alerts/routes", {"name": "every", "every_channel": True, "position": 3})
    api("POST", "alerts/routes", {"name": "one", "channels": ["other"], "position": 4})
    rows = api("GET", "alerts/routes")[1]["items"]
    assert {each["name"]: each["tells_nobody"] for each in rows} == {
        "none": True, "off": True, "every": False, "one": False,
    }  # fmt: skip
    page = operator.get("/alerts/routes").content.decode()
    said = re.findall(r'data-label="Tells">(.*?)</td>', page, re.S)
    assert ["Tells nobody" in each for each in said] == [True, True, False, False]
    assert (
        "tells nobody, apart from pages"
        in operator.get("/alerts/routes/none/edit").content.decode()
    )
    form = {
        "position": "5", "matchers": "severity=page", "group_by": "service", "enabled": "on",
        "group_wait_seconds": "0", "group_interval_seconds": "60",
        "repeat_interval_seconds": "3600", "name": "sixth",
    }  # fmt: skip
    saved = operator.post("/alerts/routes/new", form, follow=True).content.decode()
    assert "It has no channel that is enabled and tells nobody, apart from pages" in saved
    again = {**form, "channels": ["other"], "version": "1"}
    saved = operator.post("/alerts/routes/sixth/edit", again, follow=True).content.decode()
    assert "The route sixth is changed." in saved
    assert "It has no channel that is enabled" not in saved
    Route.objects.exclude(name="none").delete()
    trial = api("POST", "alerts/routes/test", {"labels": {"severity": "page"}})[1]
    assert (trial["routes"][0]["channels"], trial["routes"][0]["stand_in"]) == ([], "other")
    page = operator.get("/alerts/routes?labels=severity%3Dpage").content.decode()
    assert "as a page it goes to <b>other</b>" in page
    trial = api("POST", "alerts/routes/test", {"labels": {"severity": "ticket"}})[1]
    assert trial["routes"][0]["stand_in"] is None
