"""When a report is due, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.reports.figures import (
    Calls,
    Figures,
    Healing,
    Measured,
    Repairs,
    ServiceLine,
    Totals,
)
from alerting.domain.reports.schedule import next_due, week_due
from alerting.domain.reports.tiles import tiles
from alerting.domain.reports.words import kept_notes, plain_text, range_words, subject, verdict

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (MONDAY + timedelta(hours=6), MONDAY - 7 * DAY),
        (MONDAY + timedelta(hours=5, minutes=59), MONDAY - 14 * DAY),
        (MONDAY + 6 * DAY, MONDAY - 7 * DAY),
        (MONDAY + 7 * DAY + timedelta(hours=6), MONDAY),
    ],
)
def test_a_week_is_due_on_monday_at_six(now: datetime, since: datetime) -> None:
    assert week_due(now) == (since, since + 7 * DAY)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_the_week_that_is_due_changes_exactly_when_it_is_said_to(now: datetime) -> None:
    due = next_due(now)
    assert now < due <= now + 7 * DAY
    assert week_due(due - timedelta(microseconds=1)) == week_due(now)
    assert week_due(due).since == week_due(now).until


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        (MONDAY - 7 * DAY, MONDAY, "16 to 22 November 2026"),
        (MONDAY, MONDAY + DAY, "23 November 2026"),
        (MONDAY, MONDAY + 14 * DAY, "23 November 2026 to 6 December 2026"),
        (
            MONDAY,
            MONDAY + timedelta(hours=2),
            "2026-11-23 00:00:00 UTC to 2026-11-23 02:00:00 UTC",
        ),
    ],
)
def test_ranges_are_named(since: datetime, until: datetime, said: str) -> None:
    assert range_words(since, until) == said


def test_an_empty_week_says_that_nothing_is_known() -> None:
    empty = Figures(Totals(), Totals())
    assert verdict(empty) == [
        "No availability: no critical check measured a service in this time.",
        "No incident (0 in the time before).",
    ]
    assert subject(empty, MONDAY - 7 * DAY, MONDAY).endswith("16 to 22 November 2026: 0 incidents")
    values = {tile.label: tile.value for tile in tiles(empty)}
    assert {values[name] for name in ("Availability", "MTTR", "MTBF", "Failed calls")} == {"n/a"}
    assert "no healing runs" in next(
        tile.basis for tile in tiles(empty) if tile.label == "Healing success"
    )


def figures() -> Figures:
    bad = Measured(99_000, 1_000, 0.999)
    now = Totals(
        measured=bad, services=1, repairs=Repairs(2, 900, 2, 99_000), calls=Calls(500, 21),
        incidents=2, acknowledge_seconds=240, openings=1, healing=Healing(3, 2, 1),
    )  # fmt: skip
    line = ServiceLine("planner", bad, Measured(), Repairs(), Calls(500, 21), Calls(), 21, 0)
    before = Totals(measured=Measured(99_990, 10, 0.999), services=1, calls=Calls(100, 0))
    made = Figures(now, before, services=[line])
    return Figures(now, before, verdict(made), [line])


def test_the_verdict_has_every_number_with_what_it_is_of_and_the_time_before() -> None:
    assert figures().verdict == [
        "Services were available for 99.000 % of the measured time (1 service, target 99.900 %: "
        "missed), 0.990 points less than in the time before.",
        "More than the whole error budget went at planner (16 min 40 s bad of 1 min 40 s allowed).",
        "2 incidents (0 in the time before), acknowledged after 4 min on average.",
        "4.2 % of the calls failed (21 of 500; 0 % in the time before).",
        "Breakers opened 1 time (0 in the time before).",
        "Healing succeeded in 2 of 3 runs.",
    ]


def test_the_mail_as_text_names_the_services_and_how_soon_they_were_repaired() -> None:
    text = plain_text(figures(), MONDAY - 7 * DAY, MONDAY)
    assert "\nMTTR 7 min 30 s (n/a before).\nMTBF 13 h 45 min (n/a before).\n" in text
    assert "- planner: 99.000 %, 4.2 % of 500 calls failed, 21 stored errors" in text


def test_tiles_give_the_denominator_and_the_time_before() -> None:
    found = {tile.label: tile for tile in tiles(figures())}
    assert found["Error budget spent"].value == "10 times"
    assert found["Error budget spent"].basis == (
        "16 min 40 s bad of 1 min 40 s allowed; 10 % before"
    )
    assert found["MTTR"].value == "7 min 30 s"
    assert found["MTBF"].value == "13 h 45 min"
    assert found["Healing success"].value == "66.7 %"


def test_what_is_not_kept_for_so_long_is_said() -> None:
    kept = {"Errors": 30 * DAY, "Calls": 92 * DAY}
    assert kept_notes(MONDAY - 30 * DAY, MONDAY + timedelta(hours=6), kept) == []
    assert kept_notes(MONDAY - 60 * DAY, MONDAY, kept) == [
        "Errors are kept for 30 days: what was before 24 October 2026 is missing."
    ]
