"""The second pass puts patterns together that one template explains, and leaves what people did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from analytics.choices import MergeOrigin, PatternState
from analytics.domain.fingerprints import FRAMES_RULE, MESSAGE_RULE, fingerprint
from analytics.models import ErrorPattern, PatternMerge
from analytics.services.pattern_merging import MACHINE, patterns_merge
from resilience_site.config import config
from resilience_site.core.models import JournalEntry
from tests.analytics.store.conftest import store

__all__ = ["store"]
pytestmark = pytest.mark.usefixtures("store")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("ada", "grace", "edsger", "barbara", "donald", "niklaus")


def pattern(message: str, *, count: int = 1, rule: str = MESSAGE_RULE, **fields: str) -> UUID:
    """A pattern as ingest would make it of a message."""
    service, type_ = fields.get("service", "planner"), fields.get("type", "LookupError")
    group = fingerprint(service, type_, message)
    ErrorPattern.objects.create(
        id=group.key, service=service, type=type_, template=group.template, rule=rule, version=1,
        state=fields.get("state", PatternState.NEW), count=count, last_error_id=uuid4(),
        first_seen=NOW - timedelta(hours=2), last_seen=NOW - timedelta(minutes=1),
    )  # fmt: skip
    return group.key


def shown_as() -> dict[UUID, UUID | None]:
    return dict(ErrorPattern.objects.values_list("id", "merged_into"))


def sessions(names: tuple[str, ...] = NAMES) -> list[UUID]:
    return [
        pattern(f"session of {name} was lost after 7 s", count=10 - n)
        for n, name in enumerate(names)
    ]


def part(member: UUID, into: UUID) -> None:
    """What a person's undo leaves."""
    merge = PatternMerge.objects.get(pattern_id=member, into_id=into)
    merge.undone_at, merge.undone_by = NOW, "ada"
    merge.save()
    ErrorPattern.objects.filter(id=member).update(merged_into=None)


def test_many_words_at_one_place_are_one_pattern_and_a_second_run_changes_nothing() -> None:
    first, *others = sessions()
    other = pattern("disk of node 3 is full")
    assert patterns_merge(now=NOW) == 5
    assert shown_as() == {first: None, other: None, **dict.fromkeys(others, first)}
    assert set(ErrorPattern.objects.values_list("count", flat=True)) == {10, 9, 8, 7, 6, 5, 1}
    merges = PatternMerge.objects.all()
    assert {merge.pattern_id for merge in merges} == set(others)
    assert {(m.origin, m.actor, m.made_at) for m in merges} == {(MergeOrigin.MACHINE, MACHINE, NOW)}
    assert merges[0].reason == "the template “session of <*> was lost after <*> s” explains both"
    told = JournalEntry.objects.filter(topic="patterns", kind="pattern.merged")
    assert {entry.key for entry in told} == {str(first)}
    assert {entry.payload["pattern_id"] for entry in told} == set(map(str, others))
    assert patterns_merge(now=NOW + timedelta(minutes=5)) == 0
    assert PatternMerge.objects.count() == 5


def test_few_words_stay_apart_and_so_do_dependencies_services_types_and_stacks() -> None:
    for verb in ("opened", "closed"):
        pattern(f"session of the pool was {verb} by 7")
    for host in ("graph", "login"):
        pattern(f"cannot reach https://{host}.example.com/v1/users at all")
    for n, name in enumerate(NAMES):
        pattern(f"job of {name} was lost", service=f"s{n}")
        pattern(f"task of {name} was lost", type=f"T{n}")
        pattern(f"file of {name} was lost", rule=FRAMES_RULE)
    assert patterns_merge(now=NOW) == 0


def test_a_later_word_joins_what_is_shown_already() -> None:
    first, *_ = sessions()
    patterns_merge(now=NOW)
    late = pattern("session of leslie was lost after 7 s", count=500)
    assert patterns_merge(now=NOW) == 1
    assert shown_as()[late] == first
    assert not ErrorPattern.objects.filter(
        merged_into__in=ErrorPattern.objects.exclude(merged_into=None).values("id")
    ).exists()


def test_what_a_person_parted_is_not_put_together_again() -> None:
    first, second, *_ = sessions()
    patterns_merge(now=NOW)
    part(second, first)
    assert patterns_merge(now=NOW) == 0
    assert shown_as()[second] is None


def test_what_a_person_decided_about_one_pattern_is_not_spread_nor_hidden() -> None:
    first, *_ = sessions()
    decided = pattern("session of alan was lost after 7 s", count=99, state=PatternState.IGNORED)
    patterns_merge(now=NOW)
    assert shown_as()[decided] is None
    assert set(shown_as().values()) == {None, first}
    # A decision about the whole family holds for what joins it.
    ErrorPattern.objects.filter(id=first).update(state=PatternState.IGNORED)
    late = pattern("session of leslie was lost after 7 s")
    assert patterns_merge(now=NOW) == 1
    assert shown_as()[late] == first


def test_merges_by_people_stay_as_they_are() -> None:
    _, second, *others = sessions()
    elsewhere = pattern("something else")
    ErrorPattern.objects.filter(id=second).update(merged_into=elsewhere)
    PatternMerge.objects.create(
        pattern_id=second, into_id=elsewhere, origin=MergeOrigin.PERSON, reason="", actor="ada",
        made_at=NOW, undone_by="",
    )  # fmt: skip
    assert patterns_merge(now=NOW) == len(others)
    assert shown_as()[second] == elsewhere
    assert shown_as()[elsewhere] is None


def test_a_run_merges_a_bounded_number_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("analytics.services.pattern_merging._MOST_MERGES", 2)
    sessions()
    assert [patterns_merge(now=NOW) for _ in range(4)] == [2, 2, 1, 0]


def test_groups_that_are_quiet_are_not_looked_at() -> None:
    sessions()
    assert patterns_merge(now=NOW + timedelta(hours=2)) == 0


def test_the_variables_turn_it_off() -> None:
    sessions()
    for name in ("error_pattern_analysis_enabled", "error_analytics_enabled"):
        with config.override(**{name: False}):
            assert patterns_merge(now=NOW) == 0
    assert patterns_merge(now=NOW) == 5
