"""A service with its fill of patterns gets room again within a day, and every figure adds up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Count, Sum

from analytics.choices import MergeOrigin
from analytics.models import (
    ErrorEvent,
    ErrorPattern,
    ErrorRollup,
    ErrorRollupHour,
    PatternMerge,
    PatternRelease,
)
from analytics.services import pattern_thinning
from analytics.services.call_hours import call_hours_sum
from analytics.services.pattern_thinning import patterns_thin
from analytics.services.retention import retention_apply
from tests.analytics.store.test_pattern_room import (
    LIMIT,
    counts,
    flood,
    folded,
    post,
    posted,
    small,
)

__all__ = ["small"]
LATER = datetime.now(UTC) + timedelta(hours=30)


@pytest.fixture(autouse=True)
def few_stay(monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    """Of forty patterns ten stay."""
    monkeypatch.setattr(pattern_thinning, "KEPT", 10)


def kind(number: int) -> ErrorPattern:
    return ErrorPattern.objects.get(type=f"Order{number}Failed")


def figures() -> list[dict[str, int]]:
    """The errors of each pattern, by its row, its events, its minutes and its hours."""
    by_row = {str(p.id): p.count for p in ErrorPattern.objects.all()}
    found = [by_row]
    for rows, what in (
        (ErrorEvent.objects, Count("id")),
        (ErrorRollup.objects, Sum("errors")),
        (ErrorRollupHour.objects, Sum("errors")),
    ):
        summed = rows.values_list("pattern_id").annotate(n=what)
        found.append({str(key): number for key, number in summed})
    return found


def test_silent_patterns_make_room_and_their_errors_are_counted_with_the_others() -> None:
    post(*[posted("CardError", "declined")] * 6)
    flood(LIMIT + 20)
    call_hours_sum(now=datetime.now(UTC))
    assert patterns_thin(now=datetime.now(UTC)) == 0
    assert patterns_thin(now=LATER) == 30
    assert ErrorPattern.objects.count() == 11
    # What had more errors than a few stays.
    assert counts()["CardError"] == 6
    assert folded().count == 51
    row, *others = figures()
    assert sum(row.values()) == 66
    assert others == [row] * 3
    call_hours_sum(now=datetime.now(UTC))
    assert figures() == [row] * 4
    assert patterns_thin(now=LATER) == 0
    post(posted("RealError"))
    assert counts()["RealError"] == 1


def test_what_people_decided_about_or_what_escalates_is_not_given_up() -> None:
    flood(LIMIT + 1)
    for number, state in enumerate(("resolved", "ignored", "escalating", "regressed")):
        ErrorPattern.objects.filter(id=kind(number).id).update(state=state)
    merge = {"reason": "", "actor": "ada", "made_at": LATER}
    PatternMerge.objects.create(
        pattern_id=kind(4).id, into_id=kind(5).id, origin=MergeOrigin.PERSON, undone_by="", **merge
    )
    PatternMerge.objects.create(
        pattern_id=kind(6).id, into_id=kind(7).id, origin=MergeOrigin.MACHINE, undone_by="ada",
        undone_at=LATER, **merge,
    )  # fmt: skip
    assert patterns_thin(now=LATER) == 30
    assert {f"Order{number}Failed" for number in range(8)} <= set(counts())


def test_errors_of_what_was_put_into_another_pattern_become_those_of_that_one() -> None:
    flood(LIMIT + 1)
    root, *rest = ErrorPattern.objects.exclude(id=folded().id).order_by("-last_seen", "-id")
    members = [each.id for each in rest]
    ErrorPattern.objects.filter(id__in=members).update(merged_into=root.id)
    PatternRelease.objects.create(
        pattern_id=members[-1], version="1.0", count=1, first_seen=LATER, last_seen=LATER
    )
    assert retention_apply(now=LATER).rows["analytics_errorpattern"] == 30
    assert ErrorPattern.objects.get(id=root.id).count == 31
    assert ErrorEvent.objects.filter(pattern_id=root.id).count() == 31
    assert folded().count == 1
    # The one that was silent longest went with the version that it was seen in.
    assert PatternRelease.objects.get().pattern_id == root.id
    row, events, minutes, _ = figures()
    assert events == minutes == row


def test_a_service_with_room_keeps_what_it_has() -> None:
    flood(LIMIT)
    assert patterns_thin(now=LATER) == 0
    assert ErrorPattern.objects.count() == LIMIT
