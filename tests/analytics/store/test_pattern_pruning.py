"""Patterns go some time after their errors, all that hangs on them too; what people decided stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from analytics.choices import MergeOrigin
from analytics.domain.fingerprints import GROUPING_VERSION, MESSAGE_RULE
from analytics.models import ErrorPattern, PatternMerge, PatternRelation, PatternRelease
from analytics.services import pattern_pruning
from analytics.services.pattern_merging import MACHINE
from analytics.services.pattern_pruning import patterns_prune
from analytics.services.retention import retention_apply
from resilience_site.config import config
from tests.analytics.patterns.conftest import store

__all__ = ["store"]
pytestmark = pytest.mark.usefixtures("store")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def pattern(days_ago: float, **fields: Any) -> UUID:
    """A pattern whose last error was so many days ago, with a version that it was seen in."""
    seen = NOW - days_ago * DAY
    key = uuid4()
    ErrorPattern.objects.create(
        **{
            "id": key, "service": "shop", "type": "CardError", "template": "declined",
            "rule": MESSAGE_RULE, "version": GROUPING_VERSION, "state": "ongoing", "count": 3,
            "first_seen": seen - DAY, "last_seen": seen, "last_error_id": uuid4(), **fields,
        }
    )  # fmt: skip
    PatternRelease.objects.create(
        pattern_id=key, version="1.0", count=3, first_seen=seen - DAY, last_seen=seen
    )
    return key


def merge(member: UUID, into: UUID, origin: str = MergeOrigin.MACHINE, **fields: Any) -> None:
    PatternMerge.objects.create(
        pattern_id=member, into_id=into, origin=origin, reason="", actor=MACHINE, made_at=NOW,
        **{"undone_by": "", **fields},
    )  # fmt: skip
    if not fields:
        ErrorPattern.objects.filter(id=member).update(merged_into=into)


def relation(before: UUID, after: UUID) -> None:
    PatternRelation.objects.create(
        before_id=before, after_id=after, support=3, confidence=1.0, lift=2.0, lag_seconds=1.0,
        since=NOW, until=NOW,
    )  # fmt: skip


def left() -> set[UUID]:
    return set(ErrorPattern.objects.values_list("id", flat=True))


def test_a_pattern_goes_a_week_after_the_last_of_its_errors() -> None:
    old, young = pattern(37.1), pattern(36.9)
    assert patterns_prune(now=NOW) == 1
    assert left() == {young}
    assert set(PatternRelease.objects.values_list("pattern_id", flat=True)) == {young}
    assert old not in left()
    assert patterns_prune(now=NOW) == 0
    with config.override(error_retention_days=10):
        assert patterns_prune(now=NOW) == 1


def test_what_hangs_on_a_pattern_goes_with_it() -> None:
    old, member, young = pattern(40), pattern(50), pattern(1)
    merge(member, old)
    relation(old, young)
    relation(young, old)
    assert patterns_prune(now=NOW) == 2
    assert left() == {young}
    assert not PatternMerge.objects.exists()
    assert not PatternRelation.objects.exists()


def test_a_family_goes_as_a_whole_or_stays_as_one() -> None:
    root, member = pattern(400), pattern(3)
    merge(member, root)
    shown, silent = pattern(3), pattern(400)
    merge(silent, shown)
    assert patterns_prune(now=NOW) == 0
    assert left() == {root, member, shown, silent}
    assert PatternMerge.objects.count() == 2


@pytest.mark.parametrize("state", ["resolved", "ignored"])
def test_what_people_decided_is_kept_for_a_year(state: str) -> None:
    kept = pattern(300, state=state, state_changed_at=NOW - 290 * DAY)
    member = pattern(350)
    merge(member, kept)
    later = pattern(500, state=state, state_changed_at=NOW - 10 * DAY)
    pattern(367, state=state, state_changed_at=NOW - 380 * DAY)
    assert patterns_prune(now=NOW) == 1
    assert left() == {kept, member, later}


def test_what_people_put_together_or_parted_is_kept_for_a_year() -> None:
    member, root = pattern(60), pattern(60)
    merge(member, root, MergeOrigin.PERSON)
    one, other = pattern(60), pattern(60)
    merge(one, other, undone_at=NOW, undone_by="ada")
    by_machine, alone = pattern(60), pattern(60)
    merge(by_machine, alone, undone_at=NOW, undone_by=MACHINE)
    assert patterns_prune(now=NOW) == 2
    assert left() == {member, root, one, other}
    assert patterns_prune(now=NOW + 310 * DAY) == 4
    assert not PatternMerge.objects.exists()


def test_many_go_in_several_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_pruning, "_BATCH", 2)
    kept = pattern(100, state="resolved")
    for days in (40, 41, 120, 120, 120):
        pattern(days)
    assert patterns_prune(now=NOW) == 5
    assert left() == {kept}


def test_retention_forgets_patterns_and_a_second_run_none() -> None:
    pattern(38)
    now = NOW
    assert retention_apply(now=now).rows["analytics_errorpattern"] == 1
    assert retention_apply(now=now).rows["analytics_errorpattern"] == 0
