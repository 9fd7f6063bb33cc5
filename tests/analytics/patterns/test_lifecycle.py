"""Patterns in the store: what errors, figures and people make of their states."""

from __future__ import annotations

import pytest

from analytics.models import ErrorPattern, PatternRelease
from analytics.services import pattern_states
from analytics.services.pattern_states import (
    MOST_VERSIONS,
    pattern_releases_prune,
    patterns_follow,
)
from resilience_site.config import config
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Invalid
from tests.analytics.figures.history import write_errors
from tests.analytics.patterns.scenes import DAY, HOUR, MINUTE, NOW, decide, fail, history, told

pytestmark = pytest.mark.usefixtures("store")


def state(pattern: ErrorPattern) -> str:
    pattern.refresh_from_db()
    return str(pattern.state)


def test_a_new_pattern_is_told_with_what_alerts_read() -> None:
    pattern = fail(times=3)
    [payload] = told(pattern.id, "pattern.new")
    assert payload == {
        "service": "planner", "type": "TimeoutError", "template": "no answer from graph",
        "state": "new", "before": None, "count": 3, "reason": "", "limit": None, "in_hour": 3,
        "window_seconds": 3600,
    }  # fmt: skip
    fail()
    assert len(told(pattern.id, "pattern.new")) == 1


def test_a_pattern_is_ongoing_after_a_day() -> None:
    pattern = fail()
    assert patterns_follow(now=NOW + DAY - MINUTE) == 0
    assert patterns_follow(now=NOW + DAY + MINUTE) == 1
    assert state(pattern) == "ongoing"
    assert patterns_follow(now=NOW + DAY + MINUTE) == 0
    assert [p["before"] for p in told(pattern.id, "pattern.ongoing")] == ["new"]


def test_many_patterns_that_are_due_at_once_move_in_several_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pattern_states, "_BATCH", 2)
    monkeypatch.setattr(pattern_states, "_MOST_AGED", 2)
    for kind in ("AError", "BError", "CError"):
        fail(kind)
    ignored = fail("DError")
    decide(ignored, "ignore", ignore_for=HOUR)
    later = NOW + DAY + MINUTE
    # What somebody waits for does not wait with what merely grew old.
    assert patterns_follow(now=later) == 3
    assert state(ignored) != "ignored"
    assert [patterns_follow(now=later + n * MINUTE) for n in (1, 2)] == [1, 0]


def test_how_long_a_pattern_is_new_is_the_installations_choice() -> None:
    pattern = fail()
    with config.override(resilience_pattern_new_hours=0.5):
        fail(at=NOW + HOUR)
        assert state(pattern) == "ongoing"
        assert told(pattern.id, "pattern.ongoing")[0]["reason"]


def test_an_error_after_the_resolve_brings_it_back_one_before_does_not() -> None:
    pattern = fail()
    decide(pattern, "resolve", NOW + MINUTE)
    fail(at=NOW)
    assert state(pattern) == "resolved"
    fail(at=NOW + 2 * MINUTE, times=4)
    assert state(pattern) == "regressed"
    assert "after it was resolved" in pattern.state_reason
    [payload] = told(pattern.id, "pattern.regressed")
    assert (payload["before"], payload["count"], payload["in_hour"]) == ("resolved", 6, 6)
    fail(at=NOW + 3 * MINUTE)
    assert len(told(pattern.id, "pattern.regressed")) == 1


def test_resolved_in_a_version_only_that_and_later_ones_bring_it_back() -> None:
    pattern = fail(version="1.0", at=NOW - HOUR)
    fail(version="1.1", at=NOW - MINUTE)
    decide(pattern, "resolve", NOW, in_version="1.2")
    for known in ("1.0", "1.1", ""):
        fail(at=NOW + MINUTE, version=known)
        assert state(pattern) == "resolved", known
    fail(at=NOW + MINUTE, version="1.2")
    assert state(pattern) == "regressed"
    assert len(told(pattern.id, "pattern.regressed")) == 1


def test_resolved_in_what_runs_now_means_the_newest_version() -> None:
    pattern = fail(version="1.0", at=NOW - HOUR)
    fail(version="1.1", at=NOW - MINUTE)
    assert decide(pattern, "resolve", NOW, in_version="now").resolved_in_version == "1.1"
    fail(at=NOW + MINUTE, version="1.0")
    assert state(pattern) == "resolved"
    fail(at=NOW + MINUTE, version="1.1")
    assert state(pattern) == "regressed"


def test_more_errors_than_its_history_explains_escalate_and_calm_down_again() -> None:
    pattern = fail(at=NOW - 2 * MINUTE)
    history(pattern, hours=170, each=10)
    pattern.refresh_from_db()
    assert patterns_follow(now=NOW) == 1
    write_errors("planner", pattern.id, [(NOW - MINUTE, 80)])
    assert patterns_follow(now=NOW) == 1
    assert state(pattern) == "escalating"
    assert pattern.escalates_above == pytest.approx(60.0)
    [payload] = told(pattern.id, "pattern.escalating")
    assert payload["limit"] == pytest.approx(60.0)
    assert payload["in_hour"] > 60
    assert "above its limit of 60" in payload["reason"]
    assert patterns_follow(now=NOW) == 0
    assert patterns_follow(now=NOW + HOUR) == 0
    assert patterns_follow(now=NOW + 2 * HOUR) == 1
    assert state(pattern) == "ongoing"
    assert told(pattern.id, "pattern.calmed")[0]["before"] == "escalating"


def test_the_same_figures_twice_change_nothing_more() -> None:
    pattern = fail(at=NOW - 2 * MINUTE)
    history(pattern, hours=170, each=1)
    write_errors("planner", pattern.id, [(NOW - MINUTE, 500)])
    assert [patterns_follow(now=NOW) for _ in range(3)] == [1, 0, 0]
    assert len(told(pattern.id, "pattern.escalating")) == 1


def test_without_history_there_is_no_escalation() -> None:
    pattern = fail(times=200)
    patterns_follow(now=NOW)
    assert state(pattern) == "new"


def test_ignored_for_a_time_for_so_many_more_or_until_it_escalates() -> None:
    pattern = fail()
    decide(pattern, "ignore", NOW, ignore_for=HOUR)
    assert patterns_follow(now=NOW + HOUR - MINUTE) == 0
    assert patterns_follow(now=NOW + HOUR) == 1
    assert state(pattern) == "ongoing"

    decide(pattern, "ignore", NOW, until_count=3)
    fail(times=2, at=NOW + MINUTE)
    assert patterns_follow(now=NOW + 2 * MINUTE) == 0
    fail(at=NOW + MINUTE)
    assert patterns_follow(now=NOW + 2 * MINUTE) == 1
    assert state(pattern) == "ongoing"
    assert pattern.ignored_until_count is None

    history(pattern, hours=170, each=1)
    decide(pattern, "ignore", NOW, until_escalating=True)
    write_errors("planner", pattern.id, [(NOW - MINUTE, 500)])
    assert patterns_follow(now=NOW) == 1
    assert state(pattern) == "escalating"
    assert pattern.ignored_until_escalating is False
    kinds = [told(pattern.id, f"pattern.{kind}") for kind in ("unignored", "escalating")]
    assert [len(each) for each in kinds] == [2, 1]


def test_decisions_stand_in_the_audit_trail_with_their_terms() -> None:
    pattern = fail()
    decide(pattern, "ignore", NOW, ignore_for=HOUR, until_count=5)
    entry = AuditEntry.objects.get(action="pattern.ignore")
    assert entry.until == NOW + HOUR
    assert entry.after is not None
    assert (entry.after["state"], entry.after["ignored_until_count"]) == ("ignored", 6)
    decide(pattern, "reopen", NOW)
    pattern.refresh_from_db()
    assert (pattern.ignored_until, pattern.ignored_until_count) == (None, None)
    with pytest.raises(Invalid, match="Only a resolve"):
        decide(pattern, "ignore", in_version="1.0")
    with pytest.raises(Invalid, match="Only an ignore"):
        decide(pattern, "resolve", ignore_for=HOUR)
    with pytest.raises(Invalid, match="366 days"):
        decide(pattern, "ignore", ignore_for=400 * DAY)


def test_versions_are_counted_and_bounded() -> None:
    pattern = fail(version="1.0", at=NOW - HOUR, times=2)
    fail(version="", at=NOW)
    PatternRelease.objects.bulk_create(
        PatternRelease(
            pattern_id=pattern.id, version=f"2.{number}", count=1,
            first_seen=NOW + number * MINUTE, last_seen=NOW + number * MINUTE,
        )
        for number in range(MOST_VERSIONS + 5)
    )  # fmt: skip
    row = PatternRelease.objects.get(pattern_id=pattern.id, version="1.0")
    assert (row.count, row.first_seen) == (2, row.last_seen)
    assert pattern_releases_prune() == 6
    left = PatternRelease.objects.order_by("first_seen").values_list("version", flat=True)
    assert (left[0], left[1], len(left)) == ("1.0", "2.6", MOST_VERSIONS)


def test_patterns_are_left_alone_where_their_analysis_is_off() -> None:
    fail()
    with config.override(error_pattern_analysis_enabled=False):
        assert patterns_follow(now=NOW + 2 * DAY) == 0
