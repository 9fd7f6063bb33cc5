"""When a report is due, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.reports.budgets import budgets_now, by_service, window_basis, window_left
from alerting.domain.reports.figures import (
    Budgets,
    Calls,
    Figures,
    Healing,
    Measured,
    Repairs,
    ServiceLine,
    SloLine,
    Totals,
)
from alerting.domain.reports.schedule import next_due, week_due
from alerting.domain.reports.tiles import tiles
from alerting.domain.reports.verdict import verdict
from alerting.domain.reports.words import (
    kept_notes,
    plain_text,
    range_words,
    settled_notes,
    subject,
    zoned_words,
)
from analytics.domain.slos.budgets import Spending

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
    assert zoned_words(since, until).count("UTC") == max(1, said.count("UTC"))
    assert zoned_words(since, until).startswith(said)


def test_an_empty_week_says_that_nothing_is_known() -> None:
    empty = Figures(Totals(budgets=Budgets()), Totals(budgets=Budgets()))
    assert verdict(empty) == [
        "No error budget: no objective is watched.",
        "No uptime by checks: no critical check measured a service in this time.",
        "No incident (0 in the time before).",
    ]
    assert subject(empty, MONDAY - 7 * DAY, MONDAY).endswith("16 to 22 November 2026: 0 incidents")
    found = {tile.label: tile for tile in tiles(empty)}
    absent = ("Error budgets gone", "Uptime by checks", "MTTR", "MTBF", "Failed calls")
    assert {found[name].value for name in absent} == {"n/a"}
    assert found["Error budgets gone"].basis == "no objective is watched"
    assert found["Incidents"].basis == "0 before"
    assert "no healing runs" in found["Healing success"].basis
    unknown = Figures(Totals(budgets=Budgets(2)), Totals(budgets=Budgets(2)))
    assert verdict(unknown)[0] == "No error budget is known: not enough data for 2 services."


def slo(
    service: str, bad: float, total: float, spent: float | None, before: float = 0.5
) -> SloLine:
    """An objective of 99.9 % of calls; `spent` in the time, and over its window."""
    return SloLine(
        service, service, "availability", 0.999, 30, "ok", bad, total,
        None if spent is None else 1 - spent, "calls", None,
        Spending(bad, total, total / 1_000, spent is not None),
        Spending(before * total / 1_000, total, total / 1_000, True),
    )  # fmt: skip


def line(name: str, objective: SloLine | None, measured: Measured | None = None) -> ServiceLine:
    return ServiceLine(
        name,
        measured or Measured(),
        Measured(),
        Repairs(),
        Calls(500, 21),
        Calls(),
        21,
        0,
        objective,
    )


def figures() -> Figures:
    bad = Measured(99_000, 1_000, 0.999)
    now = Totals(
        measured=bad, services=1, repairs=Repairs(2, 900, 2, 99_000), calls=Calls(500, 21),
        incidents=16, acknowledge_seconds=394, resolve_seconds=146, acknowledged=1, ended=2,
        openings=1, healing=Healing(3, 2, 1), budgets=Budgets(4, 3, 2),
    )  # fmt: skip
    before = Totals(
        measured=Measured(99_990, 10, 0.999), services=1, calls=Calls(100, 0),
        budgets=Budgets(4, 3, 1),
    )  # fmt: skip
    lines = [
        line("agent", slo("agent", 504, 2_716, 185.6)),
        line("planner", slo("planner", 3, 2_000, 1.5), bad),
        line("mail", slo("mail", 1, 2_000, 0.5)),
        line("other", None),
    ]
    made = Figures(now, before, services=lines, slos=[each.slo for each in lines if each.slo])
    return replace(made, verdict=verdict(made))


def test_the_verdict_has_every_number_with_what_it_is_of_and_the_time_before() -> None:
    assert figures().verdict == [
        "The error budget of this time is gone at 2 of 3 services (1 of 3 in the time before): "
        "agent (spent 186 times: 504 failed of 2.72 allowed), planner (spent 1.5 times: "
        "3 failed of 2 allowed); not enough data for 1 more service.",
        "By checks, services were up for 99.000 % of the measured time (16 min 40 s down of 1 d 3 h, "
        "1 service, target 99.900 %: missed), 0.990 points less than in the time before.",
        "16 incidents (0 in the time before): 1 of 16 acknowledged, after 6 min 34 s; 2 of 16 over, "
        "after 2 min 26 s on average.",
        "4.2 % of the calls failed (21 of 500; 0 % in the time before).",
        "Breakers opened 1 time (0 in the time before).",
        "Healing succeeded in 2 of 3 runs.",
    ]


def test_of_many_services_without_a_budget_left_the_worst_are_named() -> None:
    lines = [line(f"s{n}", slo(f"s{n}", 90 - n, 1_000, 90.0 - n)) for n in range(8)]
    totals = Totals(budgets=Budgets(8, 8, 8))
    (first, *_) = verdict(Figures(totals, Totals(), services=lines))
    assert first.startswith(
        "The error budget of this time is gone at 8 of 8 services: s0 (spent 90"
    )
    assert "s4 (spent 86 times" in first
    assert "s5" not in first
    assert first.endswith(" and 3 more.")


def test_where_no_budget_is_gone_the_one_that_spent_most_is_named() -> None:
    totals = Totals(budgets=Budgets(2, 2, 0))
    spent, calm = line("mail", slo("mail", 1, 2_000, 0.5)), line("calm", slo("calm", 0, 900, 0.0))
    (first, *_) = verdict(Figures(totals, totals, services=[spent, calm]))
    assert first == (
        "The error budget of this time is gone at none of 2 services (0 of 2 in the time before); "
        "most went at mail (50 % spent: 1 failed of 2 allowed)."
    )
    (first, *_) = verdict(Figures(totals, totals, services=[calm]))
    assert first.endswith("(0 of 2 in the time before).")


def test_budgets_are_counted_by_service_each_by_its_worst_objective() -> None:
    lines = [
        slo("a", 1, 2_000, 0.5), slo("a", 3, 2_000, 1.5), slo("a", 0, 0, None),
        slo("b", 0, 0, None), slo("c", 2, 2_000, 1.0),
    ]  # fmt: skip
    assert budgets_now(lines) == Budgets(3, 2, 2)
    assert by_service(lines) == {"a": lines[1], "b": lines[3], "c": lines[4]}
    assert by_service(reversed(lines))["a"] == lines[1]


def test_what_was_left_at_the_end_is_told_in_words_and_in_what_was_counted() -> None:
    seconds = replace(slo("a", 97.4, 97.4, 1_000.0), unit="seconds")
    assert (window_left(seconds), window_basis(seconds)) == (
        "gone, spent 1,000 times",
        "1 min 37 s of 1 min 37 s down",
    )
    assert window_basis(slo("a", 504, 2_716, 186.0)) == "504 of 2,716 calls failed"
    silent = slo("a", 0, 0, None)
    assert (window_left(silent), window_basis(silent)) == ("not enough data", "no calls")


def test_reports_of_before_say_nothing_that_they_do_not_know() -> None:
    old = Figures(
        Totals(incidents=2, acknowledge_seconds=240, measured=Measured(99_000, 1_000, 0.999)),
        Totals(),
        services=[line("planner", None)],
        slos=[replace(slo("a", 97.4, 97.4, 2.0), unit="", budget=None, budget_before=None)],
    )
    assert not any("budget" in sentence for sentence in verdict(old))
    assert tiles(old)[0].label == "Uptime by checks"
    assert subject(old, MONDAY - 7 * DAY, MONDAY).endswith(": 99.000 % up by checks, 2 incidents")
    text = plain_text(old, MONDAY - 7 * DAY, MONDAY)
    assert "- planner: not checked, 4.2 % of 500 calls failed, 21 stored errors" in text
    assert "- a, availability 99.9 % over 30 d: gone, spent 2 times (97.4 of 97.4)" in text


def test_the_mail_as_text_names_the_services_and_how_soon_they_were_repaired() -> None:
    text = plain_text(figures(), MONDAY - 7 * DAY, MONDAY)
    assert text.startswith("Resilience report of 16 to 22 November 2026 (UTC)\n")
    assert (
        "\nMTTR 7 min 30 s, mean of 2 repaired failures (n/a before).\n"
        "MTBF 13 h 45 min: 1 d 3 h good, 2 failures began (n/a before).\n"
    ) in text
    assert (
        "- planner: error budget of this time: gone, spent 1.5 times (3 failed of 2 allowed, "
        "2,000 calls; 50 % left before), 99.000 % up by checks, 4.2 % of 500 calls failed, "
        "21 stored errors"
    ) in text
    assert "- agent, availability 99.9 % over 30 d: gone, spent 186 times (504 of 2,716" in text


def test_tiles_give_the_denominator_and_the_time_before() -> None:
    found = {tile.label: tile for tile in tiles(figures())}
    gone = found["Error budgets gone"]
    assert (gone.value, gone.tone) == ("2 of 3", "bad")
    assert gone.basis == (
        "services, of the budget of this time; 1 of 3 before; most at agent, spent 186 times; not "
        "enough data for 1 more service"
    )
    assert found["Uptime by checks"].value == "99.000 %"
    assert found["Incidents"].basis == (
        "1 of 16 acknowledged, after 6 min 34 s; 2 of 16 over, after 2 min 26 s on average; 0 before"
    )
    assert found["MTTR"].value == "7 min 30 s"
    assert found["MTBF"].value == "13 h 45 min"
    assert found["Healing success"].value == "66.7 %"


def test_a_report_made_right_after_its_end_says_what_may_be_missing() -> None:
    (note,) = settled_notes(MONDAY, MONDAY + timedelta(seconds=21))
    assert note.startswith("Made 21 s after the end of this time: ")
    assert settled_notes(MONDAY, MONDAY + timedelta(minutes=2)) == []


def test_what_is_not_kept_for_so_long_is_said() -> None:
    kept = {"Errors": 30 * DAY, "Calls": 92 * DAY}
    assert kept_notes(MONDAY - 30 * DAY, MONDAY + timedelta(hours=6), kept) == []
    assert kept_notes(MONDAY - 60 * DAY, MONDAY, kept) == [
        "Errors are kept for 30 days: what was before 24 October 2026 is missing."
    ]
