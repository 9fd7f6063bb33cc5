from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health.domain.windows import (
    Rule,
    Span,
    cron_refusal,
    merged,
    next_occurrence,
    occurrences,
)

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(**fields: object) -> Rule:
    usual = {
        "kind": "weekly",
        "weekdays": frozenset(range(7)),
        "start_time": time(2, 30),
        "duration": HOUR,
        "timezone": BERLIN,
    }
    return Rule(**{**usual, **fields})  # type: ignore[arg-type]


def cron(expression: str, **fields: object) -> Rule:
    usual = {"kind": "cron", "cron": expression, "duration": HOUR, "timezone": BERLIN}
    return Rule(**{**usual, **fields})  # type: ignore[arg-type]


def spans(rule: Rule, start: str, end: str) -> list[Span]:
    return list(occurrences(rule, at(start), at(end)))


RULES = [weekly(), cron("30 2 * * *")]


@pytest.mark.parametrize("rule", RULES)
def test_a_window_in_the_hour_that_is_missing_begins_at_its_end(rule: Rule) -> None:
    assert spans(rule, "2026-03-28T12:00", "2026-03-29T12:00") == [
        Span(at("2026-03-29T01:00"), at("2026-03-29T02:00"))
    ]


@pytest.mark.parametrize("rule", RULES)
def test_a_window_in_the_hour_that_comes_twice_is_the_first_of_the_two(rule: Rule) -> None:
    assert spans(rule, "2026-10-24T12:00", "2026-10-25T12:00") == [
        Span(at("2026-10-25T00:30"), at("2026-10-25T01:30"))
    ]


@pytest.mark.parametrize("rule", RULES)
def test_the_clock_on_the_wall_counts_on_both_sides_of_the_change(rule: Rule) -> None:
    found = spans(rule, "2026-03-27T12:00", "2026-03-31T12:00")
    assert [each.starts_at.hour * 60 + each.starts_at.minute for each in found] == [90, 60, 30, 30]


@pytest.mark.parametrize("rule", RULES)
def test_a_shifted_window_is_found_by_whoever_asks_while_it_goes_on(rule: Rule) -> None:
    for minute in range(60):
        now = at("2026-03-29T01:00") + timedelta(minutes=minute)
        assert len(list(occurrences(rule, now, now + timedelta(microseconds=1)))) == 1
    assert not spans(rule, "2026-03-29T02:00", "2026-03-29T03:00")


def test_a_cron_expression_of_every_hour_names_both_of_the_doubled_ones() -> None:
    found = spans(
        cron("15 * * * *", duration=timedelta(minutes=5)), "2026-10-25T00:00", "2026-10-25T03:00"
    )
    assert [each.starts_at for each in found] == [
        at("2026-10-25T00:15"),
        at("2026-10-25T01:15"),
        at("2026-10-25T02:15"),
    ]


def test_a_window_over_the_change_lasts_for_its_length() -> None:
    rule = weekly(start_time=time(1, 0), duration=3 * HOUR, timezone=NEW_YORK)
    (span,) = spans(rule, "2026-03-08T06:00", "2026-03-08T06:01")
    assert span == Span(at("2026-03-08T06:00"), at("2026-03-08T09:00"))


def test_an_early_end_cuts_the_span_that_goes_on_and_all_later_ones() -> None:
    rule = weekly(ended_at=at("2026-06-02T01:00"))
    assert spans(rule, "2026-06-01T00:00", "2026-06-09T00:00") == [
        Span(at("2026-06-01T00:30"), at("2026-06-01T01:30")),
        Span(at("2026-06-02T00:30"), at("2026-06-02T01:00")),
    ]


def test_a_recurring_window_is_cut_to_the_time_it_is_given() -> None:
    rule = weekly(starts_at=at("2026-06-01T01:00"), ends_at=at("2026-06-02T00:45"))
    assert spans(rule, "2026-05-01T00:00", "2026-07-09T00:00") == [
        Span(at("2026-06-01T01:00"), at("2026-06-01T01:30")),
        Span(at("2026-06-02T00:30"), at("2026-06-02T00:45")),
    ]


def test_a_single_window_ends_early_or_before_it_began() -> None:
    rule = Rule("single", at("2026-06-01T00:00"), at("2026-06-01T02:00"))
    assert spans(rule, "2026-05-01T00:00", "2026-07-01T00:00") == [
        Span(at("2026-06-01T00:00"), at("2026-06-01T02:00"))
    ]
    before = Rule("single", rule.starts_at, rule.ends_at, ended_at=at("2026-05-31T00:00"))
    assert spans(before, "2026-05-01T00:00", "2026-07-01T00:00") == []


def test_an_endless_rule_is_worked_out_only_as_far_as_it_is_taken() -> None:
    for rule in (weekly(), cron("*/5 * * * *", duration=timedelta(minutes=1))):
        endless = occurrences(rule, at("1990-01-01T00:00"), at("9000-01-01T00:00"))
        assert len(list(islice(endless, 3))) == 3


def test_the_next_span_may_be_years_away_and_may_not_exist() -> None:
    leap = cron("0 3 29 2 *")
    assert next_occurrence(leap, at("2096-03-01T00:00")) == Span(
        at("2104-02-29T02:00"), at("2104-02-29T03:00")
    )
    over = Rule("single", at("2026-06-01T00:00"), at("2026-06-01T02:00"))
    assert next_occurrence(over, at("2026-06-01T02:00")) is None


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * * *", "five fields"),
        ("61 * * * *", "Bad minute"),
        ("0 0 31 2 *", "Bad day-of-month"),
        ("0 0 * * MON#6", "Bad day-of-week"),
        ("* * * * *", "before the one before"),
        ("0,30 2 * * *", "before the one before"),
        ("", "five fields"),
    ],
)
def test_an_impossible_cron_expression_is_refused(expression: str, words: str) -> None:
    assert words in cron_refusal(expression, HOUR, BERLIN, at("2026-06-01T00:00"))


def test_a_possible_cron_expression_is_not_refused() -> None:
    assert cron_refusal("0 */2 * * *", HOUR, BERLIN, at("2026-06-01T00:00")) == ""


moments = st.integers(0, 500).map(lambda n: at("2026-06-01T00:00") + timedelta(minutes=n))


@settings(deadline=None)
@given(st.lists(st.tuples(moments, moments)))
def test_merged_spans_cover_the_same_minutes_without_overlap(
    pairs: list[tuple[datetime, datetime]],
) -> None:
    given_spans = [Span(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    result = merged(given_spans)
    for minute in range(501):
        now = at("2026-06-01T00:00") + timedelta(minutes=minute)
        assert any(s.starts_at <= now < s.ends_at for s in result) == any(
            s.starts_at <= now < s.ends_at for s in given_spans
        )
    assert all(a.ends_at < b.starts_at for a, b in pairwise(result))


CHANGES = [date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1)]


@settings(deadline=None)
@given(
    zone=st.sampled_from([BERLIN, NEW_YORK, "UTC", "Australia/Lord_Howe"]),
    around=st.sampled_from(CHANGES),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    start_time=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    minutes=st.integers(1, 1_500),
    back=st.integers(0, 4_000),
    length=st.integers(1, 4_000),
)
def test_weekly_windows_begin_when_a_clock_on_the_wall_first_reaches_their_time(
    zone: str,
    around: date,
    weekdays: frozenset[int],
    start_time: time,
    minutes: int,
    back: int,
    length: int,
) -> None:
    """The model walks minute by minute: a window begins on each of its days as soon as the clock
    shows its time or later."""
    start = datetime.combine(around, time(), UTC) - timedelta(minutes=back)
    end = start + timedelta(minutes=length)
    duration = timedelta(minutes=minutes)
    rule = weekly(weekdays=weekdays, start_time=start_time, duration=duration, timezone=zone)

    expected, begun = [], set()
    now = start - duration - timedelta(days=2)
    while now < end:
        wall = now.astimezone(ZoneInfo(zone))
        if wall.date() not in begun and wall.time() >= start_time:
            begun.add(wall.date())
            span = Span(now, now + duration)
            if wall.weekday() in weekdays and span.ends_at > start:
                expected.append(span)
        now += timedelta(minutes=1)
    if expected and expected[0].starts_at == start - duration - timedelta(days=2):
        expected.pop(0)  # the walk began in the middle of a day

    assert list(occurrences(rule, start, end)) == expected
