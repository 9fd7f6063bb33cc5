"""Patterns that are shown as one: put together by people, undone by people, read as a whole."""

from __future__ import annotations

import pytest

from analytics.choices import MergeOrigin
from analytics.models import ErrorPattern, PatternMerge
from analytics.selectors.errors import ErrorFilter, error_list
from analytics.selectors.patterns import (
    PatternFilter,
    pattern_get,
    pattern_list,
    pattern_shown,
    state_counts,
)
from analytics.selectors.rollups import error_counts, pattern_counts
from analytics.services.pattern_merges import pattern_merge, pattern_unmerge
from analytics.services.pattern_states import patterns_follow
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid
from resilience_site.core.timerange import TimeRange
from tests.analytics.patterns.scenes import (
    HOUR,
    MINUTE,
    NOW,
    PERSON,
    decide,
    fail,
    history,
    told,
)

pytestmark = pytest.mark.usefixtures("store")

WITHIN = TimeRange(NOW - 2 * HOUR, NOW + HOUR)


def merge(pattern: ErrorPattern, into: ErrorPattern) -> ErrorPattern:
    return pattern_merge(
        pattern_id=pattern.id, into_id=into.id, actor=PERSON, reason="the same bug", now=NOW
    )


def part(pattern: ErrorPattern) -> ErrorPattern:
    return pattern_unmerge(pattern_id=pattern.id, actor=PERSON, reason="not so", now=NOW)


def shown() -> dict[str, int]:
    return {p.type: p.count for p in pattern_list(wanted=PatternFilter()).items}


def test_what_is_put_together_is_read_as_one_and_can_be_parted() -> None:
    one, other = fail("A", times=3, at=NOW - HOUR), fail("B", times=2, at=NOW)
    assert merge(other, one).id == one.id
    assert shown() == {"A": 5}
    assert pattern_get(one.id).last_seen > one.last_seen
    assert pattern_get(other.id).count == 2
    assert sum(pattern_counts([one.id], WITHIN)[one.id]) == 5
    assert sum(count for _, count in error_counts(WITHIN, pattern=one.id)) == 5
    assert len(error_list(wanted=ErrorFilter(pattern=one.id), within=WITHIN).items) == 5
    assert len(error_list(wanted=ErrorFilter(pattern=other.id), within=WITHIN).items) == 2
    found = pattern_shown(other.id)
    assert found is not None
    assert (found.id, found.count) == (one.id, 5)
    # Later errors of it count there too.
    fail("B", at=NOW + MINUTE)
    assert shown() == {"A": 6}
    assert state_counts(PatternFilter()) == {"new": 1}
    part(other)
    assert shown() == {"A": 3, "B": 3}
    assert [len(told(one.id, f"pattern.{kind}")) for kind in ("merged", "parted")] == [1, 1]
    actions = AuditEntry.objects.filter(object_id=str(other.id)).values_list("action", flat=True)
    assert set(actions) == {"pattern.merge", "pattern.unmerge"}
    row = PatternMerge.objects.get()
    assert (row.origin, row.undone_by, row.reason) == ("person", "olga", "the same bug")


def test_merges_never_chain_and_come_apart_as_they_came_together() -> None:
    a, b, c, d = (fail(name) for name in "ABCD")
    merge(b, a)
    merge(d, c)
    merge(a, d)
    assert set(ErrorPattern.objects.exclude(id=c.id).values_list("merged_into", flat=True)) == {
        c.id
    }
    assert shown() == {"C": 4}
    part(a)
    assert shown() == {"A": 2, "C": 2}
    part(b)
    part(d)
    assert shown() == dict.fromkeys("ABCD", 1)


def test_what_cannot_be_together_is_refused() -> None:
    a, b, c = (fail(name) for name in "ABC")
    elsewhere = fail("E", service="graph")
    with pytest.raises(Conflict, match="itself"):
        merge(a, a)
    with pytest.raises(Invalid, match="different services"):
        merge(a, elsewhere)
    merge(b, a)
    with pytest.raises(Conflict, match="other way round"):
        merge(a, b)
    with pytest.raises(Conflict, match="already"):
        merge(b, c)
    merge(b, a)
    assert PatternMerge.objects.count() == 1
    with pytest.raises(Conflict, match="part of"):
        decide(b, "resolve")
    with pytest.raises(Conflict, match="not part"):
        part(c)


def test_the_machines_merges_are_parted_the_same_way() -> None:
    a, b = fail("A"), fail("B")
    ErrorPattern.objects.filter(id=b.id).update(merged_into=a.id)
    PatternMerge.objects.create(
        pattern_id=b.id, into_id=a.id, origin=MergeOrigin.MACHINE, reason="alike",
        actor="second pass", made_at=NOW,
    )  # fmt: skip
    assert shown() == {"A": 2}
    part(b)
    assert shown() == {"A": 1, "B": 1}
    assert PatternMerge.objects.get().undone_by == "olga"


def test_members_bring_a_resolved_pattern_back_and_make_it_escalate() -> None:
    a, b = fail("A", at=NOW - HOUR), fail("B", at=NOW - HOUR)
    merge(b, a)
    decide(a, "resolve", NOW - 30 * MINUTE)
    assert patterns_follow(now=NOW) == 0
    fail("B", at=NOW)
    assert patterns_follow(now=NOW + MINUTE) == 1
    a.refresh_from_db()
    assert a.state == "regressed"
    assert [p["count"] for p in told(a.id, "pattern.regressed")] == [3]
    history(a, hours=170, each=1)
    fail("B", at=NOW + MINUTE, times=30)
    assert patterns_follow(now=NOW + 2 * MINUTE) == 1
    a.refresh_from_db()
    assert (a.state, a.escalates_above) == ("escalating", 10.0)


def test_the_state_that_a_member_had_is_not_told_of_the_whole() -> None:
    a, b = fail("A", at=NOW - HOUR), fail("B", at=NOW - HOUR)
    decide(b, "resolve", NOW - 30 * MINUTE)
    merge(b, a)
    fail("B", at=NOW)
    assert told(a.id, "pattern.regressed") == []
    assert pattern_get(a.id).state == "new"


def test_lists_follow_each_order_without_loss() -> None:
    for number, name in enumerate("ABCDE"):
        fail(name, times=number % 3 + 1, at=NOW - number * MINUTE)
    for sort in ("-last_seen", "last_seen", "-count", "type", "-first_seen", "service"):
        seen, cursor = [], None
        while True:
            page = pattern_list(wanted=PatternFilter(), sort=sort, limit=2, cursor=cursor)
            seen += [pattern.type for pattern in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(seen) == list("ABCDE"), sort
    with pytest.raises(Invalid, match="sorted by"):
        pattern_list(wanted=PatternFilter(), sort="luck")
