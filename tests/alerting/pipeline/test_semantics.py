"""What is told when: first, grown, shrunk, resolved, repeated, silenced, inhibited."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerting.models import Alert, AlertGroup, Inhibition, Notified, Silence
from resilience_site.config import config
from resilience_site.core.models import JournalEntry
from tests.alerting.pipeline.scene import (
    INTERVAL,
    REPEAT,
    WAIT,
    Scene,
    channel_made,
    names_of,
    route_made,
    silence_made,
    why_of,
)

pytestmark = pytest.mark.django_db

# What happens, and what is told by the next turns: (steps, [(seconds later, occasion or nothing)]).
FIRE_A, FIRE_B, END_A, END_B, SILENCE_A, UNSILENCE, INHIBIT_A = (
    "fire a", "fire b", "end a", "end b", "silence a", "end silence", "inhibit a",
)  # fmt: skip
TABLE = {
    "first: after the wait, not before": [
        (FIRE_A, 0, None), ("", WAIT - 1, None), ("", 1, "first"), ("", 1, None),
    ],
    "first: what comes within the wait is told with it": [
        (FIRE_A, 0, None), (FIRE_B, WAIT, "first"), ("", INTERVAL, None),
    ],
    "nothing: over before the wait is": [
        (FIRE_A, 0, None), (END_A, WAIT, None), ("", INTERVAL, None),
    ],
    "grown: at the next interval": [
        (FIRE_A, 0, None), ("", WAIT, "first"), (FIRE_B, INTERVAL - 1, None), ("", 1, "grown"),
    ],
    "shrunk: one of two is over": [
        (FIRE_A, 0, None), (FIRE_B, WAIT, "first"), (END_A, INTERVAL, "shrunk"),
        ("", INTERVAL, None),
    ],
    "resolved: all are over, told once": [
        (FIRE_A, 0, None), ("", WAIT, "first"), (END_A, INTERVAL, "resolved"),
        ("", INTERVAL, None), ("", REPEAT, None),
    ],
    "grown: one is over and another began": [
        (FIRE_A, 0, None), ("", WAIT, "first"), (END_A, 0, None), (FIRE_B, INTERVAL, "grown"),
        (END_B, INTERVAL, "resolved"),
    ],
    "first again: after all was over": [
        (FIRE_A, 0, None), ("", WAIT, "first"), (END_A, INTERVAL, "resolved"),
        (FIRE_A, 0, None), ("", WAIT, "first"),
    ],
    "repeated: after the repeat interval, not before": [
        (FIRE_A, 0, None), ("", WAIT, "first"), ("", INTERVAL, None),
        ("", REPEAT - INTERVAL - 1, None), ("", 1, None), ("", INTERVAL, "repeated"),
        ("", INTERVAL, None),
    ],
    "silenced: before it was told, never told": [
        (SILENCE_A, 0, None), (FIRE_A, 0, None), ("", WAIT, None), (END_A, INTERVAL, None),
    ],
    "silenced: since it was told, its end is told": [
        (FIRE_A, 0, None), ("", WAIT, "first"), (SILENCE_A, INTERVAL, None), ("", REPEAT, None),
        (END_A, INTERVAL, "resolved"),
    ],
    "silenced: one of two, the other's end is not the end": [
        (FIRE_A, 0, None), (FIRE_B, WAIT, "first"), (SILENCE_A, INTERVAL, None),
        (END_B, INTERVAL, "shrunk"), (END_A, INTERVAL, "resolved"),
    ],
    "silenced: told when the silence ends and it still fires": [
        (SILENCE_A, 0, None), (FIRE_A, 0, None), ("", WAIT, None), (UNSILENCE, INTERVAL, "first"),
    ],
    "silenced: told before, so not again when the silence ends": [
        (FIRE_A, 0, None), ("", WAIT, "first"), (SILENCE_A, INTERVAL, None),
        (UNSILENCE, INTERVAL, None),
    ],
    "inhibited: told of the source alone": [
        (INHIBIT_A, 0, None), (FIRE_A, 0, None), (FIRE_B, WAIT, "first"), (END_B, INTERVAL, "grown"),
    ],
    "inhibited: since it was told, its end is told": [
        (FIRE_A, 0, None), ("", WAIT, "first"), (INHIBIT_A, 0, None), (FIRE_B, INTERVAL, "grown"),
        (END_A, INTERVAL, "shrunk"), (END_B, INTERVAL, "resolved"),
    ],
}  # fmt: skip


def _do(scene: Scene, step: str) -> None:
    act, _, name = step.partition(" ")
    if act == "fire":
        scene.fire(name)
    elif step == UNSILENCE:
        Silence.objects.update(ends_at=scene.now)
    elif act == "end":
        scene.resolve(name)
    elif act == "silence":
        silence_made(scene, alertname=name)
    elif act == "inhibit":
        inhibition("b", name)


def inhibition(source: str, target: str, **fields: object) -> Inhibition:
    def named(name: str) -> list[dict[str, str]]:
        return [{"label": "alertname", "op": "=", "value": name}]

    given = {"source": named(source), "target": named(target), "equal": ["service"], **fields}
    return Inhibition.objects.create(name=f"{source}-over-{target}", **given)


@pytest.mark.parametrize("steps", TABLE.values(), ids=TABLE)
def test_what_is_told_when(steps: list[tuple[str, int, str | None]]) -> None:
    route_made("all", channel_made())
    scene = Scene()
    for n, (step, seconds, occasion) in enumerate(steps):
        _do(scene, step)
        wanted = [occasion] if occasion else []
        # The turn that places comes before the time goes by, as the beat is faster than any wait.
        told = [why_of(message) for _, message in (*scene.turn(), *scene.wait(seconds))]
        assert told == wanted, f"step {n}: {step or 'nothing'}, {seconds} s later"


def test_a_message_lists_what_is_new_first_and_what_is_over() -> None:
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("a", "b")
    scene.turn()
    scene.wait(WAIT)
    scene.resolve("a")
    scene.fire("c")
    ((_, message),) = scene.wait(INTERVAL)
    assert [each.rule for each in message.alerts] == ["c", "b", "a"]
    assert names_of(message, "resolved") == {"a"}
    assert (message.status, message.severity, message.left_out) == ("firing", "page", 0)
    assert message.title == "2 alerts of planner fire: c of planner"
    assert message.why is not None
    assert message.why.route == "all"
    assert dict(message.why.group_labels) == {"service": "planner"}
    assert message.alerts[0].url.endswith(f"/alerts/{message.alerts[0].id}")


def test_an_end_says_so_in_title_and_status() -> None:
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("a")
    scene.turn()
    scene.wait(WAIT)
    scene.resolve("a")
    ((_, message),) = scene.wait(INTERVAL)
    assert (message.status, message.title) == ("resolved", "Over: a of planner")
    assert message.alerts[0].ended_at is not None


def test_the_end_of_what_is_told_does_not_end_what_is_silenced() -> None:
    """A receiver that opens and closes by the status must keep open what still fires."""
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("a", "b")
    scene.turn()
    scene.wait(WAIT)
    silence_made(scene, alertname="a")
    scene.resolve("b")
    ((_, message),) = scene.wait(INTERVAL)
    assert (why_of(message), message.status) == ("shrunk", "firing")
    assert names_of(message, "firing") == {"a"}
    assert names_of(message, "resolved") == {"b"}


def test_a_channel_that_wants_no_ends_is_told_none_and_hears_the_next_beginning() -> None:
    route_made("all", channel_made(send_resolved=False))
    scene = Scene()
    scene.fire("a")
    scene.turn()
    assert scene.occasions(WAIT) == ["first"]
    scene.resolve("a")
    assert scene.occasions(INTERVAL) == []
    assert AlertGroup.objects.get().due_at is None
    scene.fire("a")
    scene.turn()
    assert scene.occasions(WAIT) == ["first"]


def test_why_nobody_is_told_is_kept_on_the_alert_and_in_the_journal() -> None:
    route_made("all", channel_made())
    scene = Scene()
    inhibition("b", "a")
    made = silence_made(scene, alertname="a")
    a, b = scene.fire("a", "b")
    scene.turn()
    a.refresh_from_db()
    by_inhibition, by_silence = a.suppressed_by
    assert by_inhibition == {
        "kind": "inhibition", "id": "b-over-a", "alert": str(b.pk),
        "text": "b fires and says it already (inhibition b-over-a)",
    }  # fmt: skip
    assert by_silence["kind"] == "silence"
    assert by_silence["id"] == str(made.pk)
    assert "anna" in by_silence["text"]
    assert "deploy" in by_silence["text"]
    made.refresh_from_db()
    assert (made.held, made.last_held_at) == (1, scene.now)
    entries = JournalEntry.objects.filter(kind="alert.suppressed")
    assert [entry.key for entry in entries] == [str(a.pk)]
    # The same again is no change.
    scene.turn()
    made.refresh_from_db()
    assert made.held == 1
    assert entries.count() == 1
    scene.resolve("b")
    Silence.objects.update(ends_at=scene.now)
    scene.turn()
    a.refresh_from_db()
    assert a.suppressed_by == []
    assert JournalEntry.objects.get(kind="alert.released").key == str(a.pk)


def test_an_alert_on_both_sides_is_held_by_a_source_that_is_no_target_alone() -> None:
    route_made("all", channel_made())
    scene = Scene()
    pages = [{"label": "severity", "op": "=", "value": "page"}]
    Inhibition.objects.create(
        name="over-a", source=pages,
        target=[{"label": "alertname", "op": "=~", "value": "a|b"}], equal=["service"],
    )  # fmt: skip
    scene.fire("a", "b")
    scene.turn()
    assert Alert.objects.exclude(suppressed_by=[]).count() == 0
    scene.fire("c")
    scene.turn()
    held = Alert.objects.exclude(suppressed_by=[]).values_list("rule_name", flat=True)
    assert sorted(held) == ["a", "b"]


AFTER = 2_400
# As above, of an inhibition of b over a that holds for `AFTER` seconds longer.
TABLE_AFTER = {
    "over within the time: never told": [
        (FIRE_A, 0, None), (FIRE_B, WAIT, "first"), (END_B, INTERVAL, "resolved"),
        ("", AFTER - 2 * INTERVAL, None), (END_A, INTERVAL, None), ("", AFTER, None),
    ],
    "longer than the time: told": [
        (FIRE_A, 0, None), (FIRE_B, WAIT, "first"), (END_B, INTERVAL, "resolved"),
        ("", AFTER - INTERVAL - 1, None), ("", 1 + INTERVAL, "first"),
    ],
    "what fires anew: told by the next turn of its group": [
        (FIRE_A, 0, None), (FIRE_B, WAIT, "first"), (END_B, INTERVAL, "resolved"),
        (END_A, 0, None), ("", 1, None), (FIRE_A, INTERVAL, "first"),
    ],
    "nobody was told of the source: told once that is over": [
        (FIRE_A, 0, None), (FIRE_B, WAIT - 1, None), (END_B, 1, "first"),
    ],
    "the source was silenced: told once that is over": [
        ("silence b", 0, None), (FIRE_A, 0, None), (FIRE_B, WAIT, None), (END_B, INTERVAL, "first"),
    ],
    "told before the source was: its end is told": [
        (FIRE_A, WAIT, "first"), (FIRE_B, INTERVAL, "grown"), (END_B, INTERVAL, "shrunk"),
        (END_A, INTERVAL, "resolved"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("steps", TABLE_AFTER.values(), ids=TABLE_AFTER)
def test_what_an_inhibition_holds_after_its_source(
    steps: list[tuple[str, int, str | None]],
) -> None:
    route_made("all", channel_made())
    inhibition("b", "a", holds_after_seconds=AFTER)
    scene = Scene()
    for n, (step, seconds, occasion) in enumerate(steps):
        # Nothing has ended before it fired.
        scene.now += timedelta(milliseconds=1)
        _do(scene, step)
        told = [why_of(message) for _, message in (*scene.turn(), *scene.wait(seconds))]
        assert told == ([occasion] if occasion else []), f"step {n}: {step or 'nothing'}"


def test_what_is_held_after_its_source_says_until_when() -> None:
    route_made("all", channel_made())
    inhibition("b", "a", holds_after_seconds=AFTER)
    scene = Scene()
    scene.fire("a", "b")
    scene.turn()
    scene.wait(WAIT)
    scene.wait(INTERVAL)
    scene.resolve("b")
    scene.wait(INTERVAL)
    (why,) = Alert.objects.get(rule_name="a").suppressed_by
    assert why["text"] == (
        "b said it already, until 2026-11-26 12:05 UTC; held until 2026-11-26 12:45 UTC if it does "
        "not fire anew (inhibition b-over-a)"
    )
    assert why["alert"] == str(Alert.objects.get(rule_name="b").pk)


def test_nothing_is_held_after_a_source_whose_rule_was_switched_off() -> None:
    route_made("all", channel_made())
    inhibition("b", "a", holds_after_seconds=AFTER)
    scene = Scene()
    scene.fire("a", "b")
    scene.turn()
    scene.wait(WAIT)
    scene.now += timedelta(seconds=1)
    scene.resolve("b")
    Alert.objects.filter(rule_name="b").update(facts={"ended_because": "the rule was switched off"})
    ((_, message),) = (*scene.turn(), *scene.wait(INTERVAL))
    assert names_of(message, "firing") == {"a"}


def test_an_inhibition_asks_for_equal_labels() -> None:
    route_made("all", channel_made())
    scene = Scene()
    inhibition("b", "a")
    scene.fire("a")
    scene.fire("b", service="tasks")
    scene.turn()
    assert Alert.objects.exclude(suppressed_by=[]).count() == 0


def test_without_proactive_alerting_alerts_are_shown_and_nothing_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    route_made("all", channel_made())
    scene = Scene()
    monkeypatch.setattr(config, "proactive_alerting_enabled", False)
    silence_made(scene, alertname="b")
    scene.fire("a", "b")
    scene.turn()
    assert scene.occasions(WAIT) == []
    assert Notified.objects.count() == 0
    assert Alert.objects.exclude(suppressed_by=[]).get().rule_name == "b"
    monkeypatch.setattr(config, "proactive_alerting_enabled", True)
    assert scene.occasions(0) == ["first"]
