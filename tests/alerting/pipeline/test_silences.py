"""Silences: what they hold and would hold, their end, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from alerting.domain.matchers import matchers_read
from alerting.models import Alert, Silence
from alerting.selectors.silences import silence_hits, silence_state
from alerting.services import silences
from alerting.services.silences import silence_create, silence_end
from resilience_site.core.audit import Actor
from resilience_site.core.models import AuditEntry, JournalEntry
from resilience_site.core.problems import Invalid, NotFound
from tests.alerting.pipeline.scene import INTERVAL, NOON, WAIT, Scene, channel_made, route_made

pytestmark = pytest.mark.django_db

ANNA = Actor.system("anna")


def silenced(**fields: Any) -> Silence:
    given = {"matchers": {"service": "planner"}, "ends_in": 3600, "reason": "deploy", **fields}
    return silence_create(**given, actor=ANNA, now=given.pop("now", NOON))


def test_a_silence_has_an_end_an_author_and_a_reason() -> None:
    made = silenced()
    assert (made.starts_at, made.ends_at) == (NOON, NOON + timedelta(hours=1))
    assert (made.actor, made.reason) == ("anna", "deploy")
    assert made.matchers == [{"label": "service", "op": "=", "value": "planner"}]
    audit = AuditEntry.objects.get(action="silence.create")
    assert (audit.object_id, audit.reason, audit.until) == (str(made.id), "deploy", made.ends_at)
    entry = JournalEntry.objects.get(kind="silence.created")
    assert (entry.key, entry.service) == (str(made.id), "planner")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"ends_in": None}, "ends_in"),
        ({"ends_in": 0}, "ends_in"),
        ({"ends_in": 30 * 86_400 + 1}, "ends_in"),
        ({"ends_in": "soon"}, "ends_in"),
        ({"ends_in": True}, "ends_in"),
        ({"ends_at": NOON + timedelta(hours=1)}, "ends_in"),
        ({"ends_in": None, "ends_at": NOON - timedelta(hours=1)}, "ends_at"),
        ({"ends_in": None, "ends_at": NOON + timedelta(days=31)}, "ends_at"),
        ({"ends_in": 86_400, "starts_at": NOON + timedelta(days=30)}, "ends_in"),
        ({"ends_in": None, "ends_at": NOON.replace(tzinfo=None)}, "ends_at"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 1_001}, "reason"),
        ({"matchers": {}}, "matchers"),
        ({"matchers": []}, "matchers"),
        ({"matchers": "everything"}, "matchers"),
        ({"matchers": {"service": ""}}, "matchers"),
        ({"matchers": ["alertname=~.+"]}, "matchers"),
        ({"matchers": ["severity=~page|ticket|info", "source!=x"]}, "matchers"),
        ({"matchers": ["service=~.*"]}, "matchers"),
        ({"matchers": ["service!=planner"]}, "matchers"),
        ({"matchers": ["service=~(a+)+"]}, "matchers"),
        ({"matchers": ["service=~["]}, "matchers"),
    ],
)
def test_what_has_no_end_no_reason_or_holds_everything_is_refused(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        silenced(**fields)
    assert [each.field for each in refused.value.errors] == [field]
    assert Silence.objects.count() == 0
    assert AuditEntry.objects.get().action == "silence.create.refused"


def test_a_silence_holds_until_its_end_and_then_people_are_told() -> None:
    route_made("all", channel_made())
    scene = Scene()
    silenced(ends_in=600)
    scene.fire("a")
    scene.turn()
    assert scene.occasions(WAIT) == []
    assert scene.occasions(INTERVAL) == []
    assert scene.occasions(INTERVAL) == ["first"]


def test_a_silence_of_later_holds_nothing_before() -> None:
    route_made("all", channel_made())
    scene = Scene()
    made = silenced(starts_at=NOON + timedelta(hours=1))
    assert silence_state(made, NOON) == "pending"
    scene.fire("a")
    scene.turn()
    assert scene.occasions(WAIT) == ["first"]


def test_ending_a_silence_lets_people_be_told() -> None:
    route_made("all", channel_made())
    scene = Scene()
    made = silenced()
    scene.fire("a")
    scene.turn()
    scene.wait(WAIT)
    ended = silence_end(silence_id=made.id, actor=Actor.system("ben"), now=scene.now)
    assert (ended.ends_at, ended.ended_by) == (scene.now, "ben")
    assert silence_state(ended, scene.now) == "over"
    assert scene.occasions(INTERVAL) == ["first"]
    assert JournalEntry.objects.get(kind="silence.ended").payload["actor"] == "ben"
    with pytest.raises(Invalid):
        silence_end(silence_id=made.id, actor=ANNA, now=scene.now)
    with pytest.raises(NotFound):
        silence_end(silence_id=UUID(int=1), actor=ANNA, now=scene.now)


def test_a_silence_that_has_not_begun_is_called_off() -> None:
    made = silenced(starts_at=NOON + timedelta(hours=1))
    ended = silence_end(silence_id=made.id, actor=ANNA, now=NOON)
    assert (ended.starts_at, ended.ends_at) == (NOON, NOON)


def test_the_preview_counts_what_it_would_hit_now_and_would_have_hit_in_a_week() -> None:
    scene = Scene(now=NOON - timedelta(days=8))
    scene.fire("a")
    scene.resolve("a")
    scene.now = NOON - timedelta(days=6)
    scene.fire("a", "b")
    scene.fire("a", service="tasks")
    scene.resolve("a", "b")
    scene.now = NOON
    scene.fire("a", severity="ticket")
    hits = silence_hits(matchers_read({"service": "planner"}), NOON)
    assert (hits.now, hits.now_of, hits.week, hits.cut) == (1, 2, 3, False)
    assert hits.by_rule == [("a", 2), ("b", 1)]
    assert [(each.rule_name, each.severity) for each in hits.listed] == [("a", "ticket")]
    nothing = silence_hits(matchers_read(["service=planner", "severity=~info|none"]), NOON)
    assert (nothing.now, nothing.week, nothing.listed) == (0, 0, [])


def test_what_columns_sort_out_is_what_matchers_match() -> None:
    """The columns only help: whatever the labels say, both find the same alerts."""
    scene = Scene()
    scene.fire("a", "b")
    scene.fire("a", service="tasks", severity="info", team="x|y")
    Alert.objects.filter(service="tasks").update(service="", severity="ticket")
    for matchers, count in [
        (["service=tasks"], 1), (["service=~tasks|planner"], 3), (["severity=info"], 0),
        (["severity=ticket"], 1), (["alertname=~a|b", "service=planner"], 2),
        (["team=x|y"], 1), (["team=~x|y"], 0), (["service!=tasks", "alertname=a"], 1),
    ]:  # fmt: skip
        assert silence_hits(matchers_read(matchers), scene.now).now == count, matchers


def test_there_are_no_more_silences_than_alerts_can_be_held_against(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silences, "MOST_OPEN", 2)
    first = silenced()
    silenced(ends_in=7200)
    with pytest.raises(Invalid, match="end some"):
        silenced()
    silence_end(silence_id=first.id, actor=ANNA, now=NOON)
    silenced()
    assert Silence.objects.count() == 3


def test_a_service_whole_or_all_that_are_told_by_name_can_be_silenced() -> None:
    for matchers in (["service=~.+"], ["severity=~page|ticket"], ["source=grafana"]):
        assert silenced(matchers=matchers).matchers
