"""Machines of rules: the same alerts whichever steps time takes, and what each condition means."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.rules.conditions import (
    EventCondition,
    OfJournal,
    SilentCondition,
    Wrong,
    condition_read,
)
from alerting.domain.rules.events import JournalMachine, journal_machine
from alerting.domain.rules.fields import Entry
from alerting.domain.rules.figures import FigureMachine, Reading
from alerting.domain.rules.lifecycle import Emission

START = datetime(2026, 11, 26, 12, tzinfo=UTC)
Seen = tuple[str, float, dict[str, str]]


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def condition(**fields: Any) -> OfJournal:
    given_fields = {
        "type": "event", "topic": "breakers", "kinds": ["breaker.transition"],
        "where": [{"field": "state", "value": "open"}], "labels": {"breaker": "key"},
        "resolved_by": {
            "kinds": ["breaker.transition"], "where": [{"field": "state", "value": "closed"}],
        },
        **fields,
    }  # fmt: skip
    found = condition_read(given_fields)
    assert isinstance(found, EventCondition | SilentCondition)
    return found


def machine(
    hold: float = 0, keep: float = 0, in_force: float | None = None, **fields: Any
) -> JournalMachine:
    since = None if in_force is None else START + seconds(in_force)
    return journal_machine(condition(**fields), seconds(hold), seconds(keep), since)


def entry(at: float, state: str = "open", key: str = "a", instance: str = "i-1") -> Entry:
    return Entry(
        int(at * 10), START + seconds(at), "breakers", "breaker.transition", key, state, "planner",
        {"instance": instance},
    )  # fmt: skip


def seen(emissions: Sequence[Emission]) -> list[tuple[str, float]]:
    return [
        (each.happening, (each.at - START).total_seconds())
        for each in emissions
        if each.happening != "refresh"
    ]


def told(machine: JournalMachine, entries: Sequence[Entry], until: float) -> list[Any]:
    for each in entries:
        machine.observe(each)
    machine.advance(START + seconds(until))
    return seen(machine.taken())


def test_it_waits_for_as_long_as_asked_before_it_fires_and_before_it_ends() -> None:
    rule = machine(hold=60, keep=30)
    assert told(rule, [entry(0), entry(100, "closed")], 200) == [
        ("begin", 0), ("fire", 60), ("resolve", 130),
    ]  # fmt: skip
    short = machine(hold=60)
    assert told(short, [entry(0), entry(59, "closed")], 200) == [("begin", 0), ("resolve", 59)]


def test_what_comes_back_while_it_is_kept_is_the_same_alert() -> None:
    rule = machine(keep=30)
    entries = [entry(0), entry(10, "closed"), entry(35), entry(50, "closed")]
    assert told(rule, entries, 100) == [("fire", 0), ("resolve", 80)]


def test_so_many_within_the_window_are_needed() -> None:
    rule = machine(count=3, within_seconds=10)
    entries = [entry(0), entry(9), entry(11), entry(12), entry(18)]
    assert told(rule, entries, 19) == [("fire", 12)]


def test_the_window_is_counted_to_the_second() -> None:
    assert told(machine(count=3, within_seconds=10), [entry(0), entry(5), entry(10)], 11) == [
        ("fire", 10)
    ]
    assert told(machine(count=3, within_seconds=10), [entry(0), entry(5), entry(10.5)], 11) == []


def test_it_ends_by_quiet_counted_from_the_last_that_matched() -> None:
    rule = machine(resolve_after_seconds=60)
    assert told(rule, [entry(0), entry(40)], 101) == [("fire", 0), ("resolve", 100)]


def test_it_holds_while_any_member_has_not_ended() -> None:
    rule = machine(members="payload.instance")
    entries = [
        entry(0, instance="i-1"), entry(1, instance="i-2"),
        entry(5, "closed", instance="i-1"), entry(9, "closed", instance="i-2"),
    ]  # fmt: skip
    assert told(rule, entries, 20) == [("fire", 0), ("resolve", 9)]


def test_a_member_of_which_nothing_more_is_heard_is_given_up() -> None:
    rule = machine(members="payload.instance", resolve_after_seconds=60)
    entries = [
        entry(0, instance="dead"), entry(30, instance="i-2"), entry(70, "closed", instance="i-2"),
    ]  # fmt: skip
    assert told(rule, entries, 100) == [("fire", 0), ("resolve", 70)]


def test_an_entry_that_comes_late_counts_as_having_come_with_the_last() -> None:
    rule = machine(resolve_after_seconds=60)
    assert told(rule, [entry(10), entry(5, "closed")], 100) == [("fire", 10), ("resolve", 10)]


def test_silence_holds_until_something_is_heard_and_is_forgotten_in_the_end() -> None:
    rule = machine(
        type="silent", silent_seconds=60, forget_seconds=600, resolved_by=None, where=[]
    )  # fmt: skip
    entries = [entry(0), entry(50), entry(200), entry(250)]
    assert told(rule, entries, 2000) == [
        ("fire", 110), ("resolve", 200), ("fire", 310), ("resolve", 850),
    ]  # fmt: skip


def test_what_holds_since_before_the_rule_was_as_it_is_fires_then() -> None:
    rule = machine(in_force=50)
    over = [entry(0, key="over"), entry(40, "closed", key="over")]
    entries = [*over, entry(45), entry(70, "closed"), entry(80), entry(90, "closed")]
    assert told(rule, entries, 100) == [
        ("begin", 0), ("resolve", 40),
        ("begin", 45), ("fire", 50), ("resolve", 70), ("fire", 80), ("resolve", 90),
    ]  # fmt: skip
    held = machine(hold=60, in_force=50)
    assert told(held, [entry(0), entry(40, key="b")], 120) == [
        ("begin", 0), ("begin", 40), ("fire", 60), ("fire", 100),
    ]  # fmt: skip


def test_a_figure_that_held_before_the_rule_was_as_it_is_fires_then_with_what_it_is_by_then() -> (
    None
):
    rule = FigureMachine(seconds(0), seconds(0), START + seconds(90))
    for minute in range(4):
        reading = Reading({"service": "a"}, "a", {"value": minute})
        rule.minute(START + seconds(60 * minute), [reading])
    begun, fired = (each for each in rule.taken() if each.happening != "refresh")
    assert (begun.happening, begun.at) == ("begin", START)
    assert (fired.happening, fired.at) == ("fire", START + seconds(90))
    assert (fired.since, fired.facts) == (START, {"value": 1})


def test_a_figure_fires_after_it_has_held_for_all_minutes_asked_for() -> None:
    rule = FigureMachine(seconds(120), seconds(60))
    held = [1, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0]
    for minute, holds in enumerate(held):
        readings = [Reading({"service": "a"}, "a")] if holds else []
        rule.minute(START + seconds(60 * minute), readings)
    minutes = [(what, at / 60) for what, at in seen(rule.taken())]
    assert minutes == [
        ("begin", 0), ("resolve", 2), ("begin", 3), ("fire", 5), ("resolve", 10),
    ]  # fmt: skip


ENTRIES = st.lists(
    st.builds(
        lambda gap, state, key, instance: (gap, state, key, instance),
        st.integers(0, 40),
        st.sampled_from(["open", "open", "closed", "half_open"]),
        st.sampled_from("ab"),
        st.sampled_from(["i-1", "i-2"]),
    ),
    max_size=25,
)
RULES = st.fixed_dictionaries(
    {
        "hold": st.sampled_from([0, 5, 30]),
        "keep": st.sampled_from([0, 5, 30]),
        "count": st.sampled_from([1, 2, 3]),
        "within_seconds": st.sampled_from([10, 60]),
        "members": st.sampled_from([None, "payload.instance"]),
        "resolve_after_seconds": st.sampled_from([None, 10, 50]),
        "in_force": st.sampled_from([None, 25, 100]),
    }
)


@given(rule=RULES, steps=ENTRIES, pauses=st.lists(st.integers(1, 30), max_size=30))
def test_any_number_of_turns_and_restarts_gives_the_same_alerts(
    rule: dict[str, Any], steps: list[tuple[int, str, str, str]], pauses: list[int]
) -> None:
    at, entries = 0, []
    for gap, state, key, instance in steps:
        at += gap
        entries.append(entry(at, state, key, instance))
    end = START + seconds(at + 200)

    whole = machine(**rule)
    for each in entries:
        whole.observe(each)
    whole.advance(end)

    now, found, state_kept = START, [], machine(**rule).to_json()
    left = list(entries)
    for pause in [*pauses, at + 300]:
        now = min(now + seconds(pause), end)
        # What is kept says since when the rule is in force.
        part = machine(**{**rule, "in_force": None})
        part.restore(state_kept)
        while left and left[0].at < now:
            part.observe(left.pop(0))
        part.advance(now)
        found += part.taken()
        state_kept = part.to_json()
    assert seen(found) == seen(whole.taken())
    assert state_kept == whole.to_json()


@given(rule=RULES, steps=ENTRIES)
def test_an_alert_begins_fires_and_ends_in_this_order_and_once(
    rule: dict[str, Any], steps: list[tuple[int, str, str, str]]
) -> None:
    run, at = machine(**rule), 0
    for gap, state, key, instance in steps:
        at += gap
        run.observe(entry(at, state, key, instance))
    run.advance(START + seconds(at + 1000))
    last: dict[str, Emission] = {}
    for each in run.taken():
        before = last.get(each.labels["breaker"])
        over = before is None or before.happening == "resolve"
        assert each.happening in (("begin", "fire") if over else ("fire", "refresh", "resolve"))
        assert before is None or each.at >= before.at
        if each.happening == "fire":
            after = each.since + seconds(rule["hold"])
            assert each.at == max(after, START + seconds(rule["in_force"] or 0))
        last[each.labels["breaker"]] = each


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"type": "sql"}, "condition.type"),
        ({"count": 0}, "condition.count"),
        ({"counts": 3}, "condition.counts"),
        ({"kinds": []}, "condition.kinds"),
        ({"where": [{"field": "state", "op": "~", "value": "x"}]}, "condition.where.0.op"),
        ({"labels": {"a b": "key"}}, "condition.labels.a b.[key]"),
    ],
)
def test_a_form_that_cannot_be_read_says_where(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(Wrong) as refused:
        condition(**fields)
    assert where in [field for field, _ in refused.value.errors]


@given(rule=RULES, steps=ENTRIES)
def test_a_rule_in_force_since_a_moment_tells_what_outlasts_it_and_nothing_before(
    rule: dict[str, Any], steps: list[tuple[int, str, str, str]]
) -> None:
    rule |= {"keep": 0, "in_force": rule["in_force"] or 60}
    at, entries = 0, []
    for gap, state, key, instance in steps:
        at += gap
        entries.append(entry(at, state, key, instance))
    began = START + seconds(rule["in_force"])

    def fired(machine: JournalMachine) -> list[tuple[str, datetime, datetime | None]]:
        for each in entries:
            machine.observe(each)
        machine.advance(START + seconds(at + 500))
        found: list[tuple[str, datetime, datetime | None]] = []
        for each in machine.taken():
            key = each.labels["breaker"]
            if each.happening == "fire":
                found.append((key, each.at, None))
            elif each.happening == "resolve":
                open_one = [(k, since, end) for k, since, end in found if k == key and end is None]
                for one in open_one:
                    found[found.index(one)] = (key, one[1], each.at)
        return found

    always = fired(machine(**{**rule, "in_force": None}))
    expected = [
        (key, max(since, began), end) for key, since, end in always if end is None or end > began
    ]
    assert sorted(fired(machine(**rule)), key=str) == sorted(expected, key=str)
