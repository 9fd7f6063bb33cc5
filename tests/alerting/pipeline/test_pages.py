"""The screens of alerts, silences and routes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from alerting.domain.grouping import MOST_NEW
from alerting.models import Alert, Inhibition, Route, Silence
from alerting.services.shipped_routing import routing_ship
from resilience_site.config import config
from resilience_site.core.formatting import exact
from resilience_site.core.models import AuditEntry
from tests.alerting.pipeline.scene import WAIT, Scene, channel_made, route_made
from tests.pages.html import PARTIAL
from tests.queries import pinned, queries_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene() -> Scene:
    """Two alerts of one service fire, one of them held; one of another service is over."""
    routing_ship()
    channel_made()
    made = Scene(now=datetime.now(UTC) - timedelta(minutes=10))
    Silence.objects.create(
        matchers=[{"label": "alertname", "op": "=", "value": "b"}], starts_at=made.now,
        ends_at=made.now + timedelta(hours=9), reason="deploy", actor="anna", created_at=made.now,
    )  # fmt: skip
    made.fire("a", "b")
    made.fire("c", service="tasks", severity="ticket")
    made.resolve("c", service="tasks", severity="ticket")
    made.turn()
    made.wait(WAIT)
    return made


def text(client: Client, path: str, status: int = 200, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, path
    return answer.content.decode()


def test_nothing_is_wrong_says_so_and_where_to_look(viewer: Client) -> None:
    page = text(viewer, "/alerts")
    assert "Nothing is wrong" in page
    assert "Nobody is told of alerts: there is no channel that is enabled." in page
    assert "Nothing is silenced" in text(viewer, "/alerts/silences")
    assert "There is no route" in text(viewer, "/alerts/routes")


def test_open_alerts_stand_by_service_and_say_why_they_are_held(
    viewer: Client, scene: Scene
) -> None:
    page = text(viewer, "/alerts")
    assert "2 alerts fire now: 2 pages, 0 tickets, 0 for the record" in page
    assert "1 of them is held back" in page
    assert "Silenced by anna until" in page
    assert "c of tasks" not in page
    assert "c of tasks" in text(viewer, "/alerts?state=resolved")
    assert "a of planner" not in text(viewer, "/alerts?suppressed=yes")
    assert "No open alert fits these filters" in text(viewer, "/alerts?q=nothing")
    assert "<html" not in text(viewer, "/alerts", **PARTIAL)
    assert "state is one of" in text(viewer, "/alerts?state=loud", status=400)


def test_it_says_when_nobody_is_told_by_the_variable(
    viewer: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "proactive_alerting_enabled", False)
    assert "<code>PROACTIVE_ALERTING_ENABLED</code> is false" in text(viewer, "/alerts")


def test_an_alert_shows_who_was_told_what_was_sent_and_why_not(
    viewer: Client, operator: Client, scene: Scene
) -> None:
    told, held = Alert.objects.filter(service="planner").order_by("rule_name")
    page = text(viewer, f"/alerts/{told.id}")
    assert "What its channels heard" in page
    assert "ops" in page
    assert "What was sent" in page
    assert "/alerts/silences/new" not in page
    page = text(operator, f"/alerts/{held.id}")
    assert "Nobody is told of it. Silenced by anna until" in page
    assert "/alerts/silences/new?matchers=alertname%3Db%0Aservice%3Dplanner" in page
    text(viewer, "/alerts/00000000-0000-4000-8000-000000000000", status=404)


def test_an_alert_says_that_it_is_told_with_everything_else_of_a_storm(
    viewer: Client, scene: Scene
) -> None:
    (late,) = [scene.fire("x", service=f"s{n}") for n in range(MOST_NEW)][-1]
    Route.objects.update(group_by=["service"])
    scene.turn()
    told = {
        text(viewer, f"/alerts/{each.pk}").count("everything else of the route that is as urgent")
        for each in Alert.objects.filter(rule_name="x")
    }
    assert told == {0, 1}
    route_made("whole", group_by=[], position=0)
    scene.turn()
    assert "nothing: all that the route takes" in text(viewer, f"/alerts/{late.pk}")


def test_a_silence_is_previewed_then_made_and_ended(operator: Client, scene: Scene) -> None:
    path = "/alerts/silences/new"
    page = text(operator, f"{path}?matchers=service%3Dplanner")
    assert "<b>2 of 2</b> open alerts would be held now" in page
    form = {"matchers": "service=planner\nalertname=a", "ends_in": "3600", "reason": "deploy"}
    answer = operator.post(path, {**form, "act": "preview"})
    assert "<b>1 of 2</b> open alerts" in answer.content.decode()
    assert Silence.objects.count() == 1
    # What leads nowhere leads to the silences.
    made = operator.post(path, {**form, "act": "save", "next": "nowhere"})
    assert (made.status_code, made.headers["Location"]) == (302, "/alerts/silences")
    made = Silence.objects.get(reason="deploy", actor="a-operator")
    listed = text(operator, "/alerts/silences")
    assert "alertname=a, service=planner" in listed
    end = f"/alerts/silences/{made.id}/end"
    assert "It would go on to hold 1 of 2 open alerts" in text(operator, end)
    assert operator.post(end, {"reason": "done"}).status_code == 302
    made.refresh_from_db()
    assert made.ended_by == "a-operator"
    assert AuditEntry.objects.get(action="silence.end").reason == "done"


def test_a_silence_may_begin_later_and_end_at_a_time_of_ones_own(operator: Client) -> None:
    path = "/alerts/silences/new"
    begins = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=2)
    ends = begins + timedelta(hours=5)
    form = {
        "matchers": "service=planner", "reason": "move", "starts_at": f"{begins:%Y-%m-%dT%H:%M}",
        "ends_in": "until", "ends_at": f"{ends:%Y-%m-%dT%H:%M}",
    }  # fmt: skip
    page = operator.post(path, {**form, "act": "preview"}).content.decode()
    said = re.sub(r"<[^>]+>", "", page)
    assert f"It would last from {exact(begins)} until {exact(ends)}." in said
    assert all(f'value="{form[name]}"' in page for name in ("starts_at", "ends_at"))
    made = operator.post(path, {**form, "act": "save"}, follow=True).content.decode()
    assert f"The silence begins {exact(begins)}." in made
    assert "To come" in made
    silence = Silence.objects.get()
    assert (silence.starts_at, silence.ends_at) == (begins, ends)
    # A length counts from the beginning on; an end that was written before does not.
    operator.post(path, {**form, "ends_in": "3600", "reason": "again", "act": "save"})
    assert Silence.objects.get(reason="again").ends_at == begins + timedelta(hours=1)
    # A silence that is to end before it begins is none.
    early = {**form, "ends_at": form["starts_at"], "act": "preview"}
    assert "at least 60 seconds from its beginning" in operator.post(path, early).content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reason": ""}, "Say why"),
        ({"matchers": ""}, "this would silence every alert"),
        ({"matchers": "service=~("}, "The pattern of the label service is wrong"),
        ({"ends_in": "99999999"}, "at most 30 days from now"),
        ({"ends_in": "soon"}, "must be a number of seconds"),
        ({"starts_at": "soon"}, "starts_at must be a time with its zone, such as"),
        ({"ends_in": "until"}, "ends_at must be a time with its zone, such as"),
        ({"ends_in": "until", "ends_at": "2026-01-01T00:00"}, "must end in the future"),
    ],
)
def test_a_silence_that_cannot_be_says_why_and_keeps_what_was_written(
    operator: Client, change: dict[str, str], said: str
) -> None:
    form = {"matchers": "service=planner", "ends_in": "3600", "reason": "deploy", **change}
    answer = operator.post("/alerts/silences/new", {**form, "act": "save"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert form["matchers"] in page.replace("&lt;", "<")
    assert all(f'value="{form[name]}"' in page for name in ("starts_at", "ends_at") if name in form)
    assert AuditEntry.objects.get().action == "silence.create.refused"


def test_a_route_is_made_edited_and_deleted(operator: Client, scene: Scene) -> None:
    form = {
        "name": "pages", "position": "10", "matchers": "severity=page", "group_by": "service",
        "group_wait_seconds": "0", "group_interval_seconds": "60",
        "repeat_interval_seconds": "3600", "enabled": "on", "channels": ["ops"],
    }  # fmt: skip
    assert "New route" in text(operator, "/alerts/routes/new")
    answer = operator.post("/alerts/routes/new", {**form, "position": "soon"})
    assert answer.status_code == 422
    assert "position is a whole number" in answer.content.decode()
    assert operator.post("/alerts/routes/new", form).status_code == 302
    edit = "/alerts/routes/pages/edit"
    assert "severity=page" in text(operator, edit)
    assert operator.post(edit, {**form, "version": "1", "group_by": ""}).status_code == 302
    answer = operator.post(edit, {**form, "version": "1"})
    assert answer.status_code == 409
    told = answer.content.decode()
    assert "Somebody else was quicker" in told
    assert "<dt>Group by</dt><dd>none</dd>" in told
    assert "made the last change" in told
    route = Route.objects.get(name="pages")
    assert (route.version, route.group_by, route.channels.get().name) == (2, [], "ops")
    remove = "/alerts/routes/pages/delete"
    assert "In 0 of its groups" in text(operator, remove)
    assert operator.post(remove, {"version": "2"}).status_code == 302
    assert not Route.objects.filter(name="pages").exists()


def test_the_default_route_is_edited_in_place(operator: Client, scene: Scene) -> None:
    path = "/alerts/routes/default/edit"
    assert "stays the last one" in text(operator, path)
    form = {
        "position": "10000", "matchers": "", "group_by": "service", "group_wait_seconds": "30",
        "group_interval_seconds": "300", "repeat_interval_seconds": "14400", "version": "1",
        "channels": ["ops"],
    }  # fmt: skip
    assert operator.post(path, form).status_code == 302
    route = Route.objects.get(name="default")
    assert (route.enabled, route.every_channel) == (True, False)
    assert operator.post("/alerts/routes/default/delete", {}).status_code == 422


def test_where_an_alert_would_go_is_told(viewer: Client, scene: Scene) -> None:
    page = text(viewer, "/alerts/routes?labels=service%3Dplanner%0Aalertname%3Db")
    assert "By the route <b>default</b> to <b>ops</b>" in page
    assert "But nobody is told now. Silenced by anna" in page
    assert "no patterns" in text(viewer, "/alerts/routes?labels=service%3D~planner")
    assert "is no matcher" in text(viewer, "/alerts/routes?labels=planner")


def test_an_inhibition_is_switched(operator: Client, scene: Scene) -> None:
    path = "/alerts/inhibitions/failure-over-signs"
    assert operator.post(path, {"enabled": "off"}).status_code == 302
    assert not Inhibition.objects.get(name="failure-over-signs").enabled
    assert operator.post(path, {"enabled": "on"}).status_code == 302
    assert operator.post("/alerts/inhibitions/none", {"enabled": "on"}).status_code == 302
    assert AuditEntry.objects.filter(action="inhibition.update.refused").count() == 1


def test_each_screen_takes_its_pinned_number_of_queries_however_much_it_shows(
    operator: Client, scene: Scene
) -> None:
    counted = pinned(__file__)
    told = Alert.objects.get(rule_name="a")
    silence = Silence.objects.get()

    def counts() -> dict[str, int]:
        return {
            line: queries_of(operator, line.format(alert=told.id, silence=silence.id))
            for line in counted
        }

    assert counts() == counted
    for n in range(12):
        scene.fire("x", "y", service=f"s{n}")
        channel_made(f"c{n}")
    assert counts() == counted


@pytest.mark.parametrize("path", [
    "/alerts", "/alerts/silences", "/alerts/rules", "/alerts/routes", "/alerts/channels",
    "/alerts/deliveries", "/alerts/inbound",
])  # fmt: skip
def test_each_page_of_alerting_begins_with_the_same_tabs_and_marks_its_own(
    operator: Client, path: str
) -> None:
    page = text(operator, path)
    main = page[page.index("<main") :]
    found = re.search(r'<nav class="[^"]*" aria-label="Alerts">(.*?)</nav>', main)
    assert found is not None
    # Whatever else a page has at its head, the tabs stand above it.
    assert found.start() < main.index("<h1")
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>', found[1])
    assert len(links) == 7
    assert [href for href, current in links if current] == [path]
