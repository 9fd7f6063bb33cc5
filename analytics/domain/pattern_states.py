"""Where a pattern of errors stands, and what moves it on.

    new ──a day──▶ ongoing ◀──calm──▶ escalating       resolve, ignore, reopen: people, any time
     │                ▲                   ▲
     └──────────── more an hour than its limit ──┘
    resolved ──an error after it──▶ regressed ──a week──▶ ongoing
    ignored ──its time is over, N more came──▶ ongoing, or ──more than its limit──▶ escalating

Ingest only brings a resolved pattern back (`comes_back`), as that must be told at once; the rest is
decided minute by minute (`follow`) from the figures, so that deciding twice changes nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from analytics.domain.pattern_limits import amount

NEW, ONGOING, ESCALATING = "new", "ongoing", "escalating"
REGRESSED, RESOLVED, IGNORED = "regressed", "resolved", "ignored"

# Kinds of journal entries.
AGED, ESCALATED, CALMED, BACK, UNIGNORED = (
    "pattern.ongoing", "pattern.escalating", "pattern.calmed", "pattern.regressed",
    "pattern.unignored",
)  # fmt: skip
BACK_BY_TIME = "an error came after it was resolved"
BACK_BY_VERSION = "an error came from a version that should not have it any more"


class Rules(NamedTuple):
    """How long states last by themselves.

    Two quiet hours end an escalation: each of the last two must keep within the limit. A week above
    it is the pattern's new normal, from which its limit is learnt anew.
    """

    new_for: timedelta = timedelta(days=1)
    regressed_for: timedelta = timedelta(days=7)
    adapts_after: timedelta = timedelta(days=7)


USUAL = Rules()


class Standing(NamedTuple):
    """What is known of a pattern: `limit` in errors an hour or None, `count` of all its errors,
    and until when or how many it is ignored."""

    state: str
    since: datetime
    first_seen: datetime
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here
    limit: float | None
    ignored_until: datetime | None = None
    ignored_until_count: int | None = None
    ignored_until_escalating: bool = False


class Change(NamedTuple):
    """The next state, the kind of the journal entry that tells it, and why, for people."""

    state: str
    kind: str
    reason: str


def follow(
    standing: Standing, in_hour: int, hour_before: int, now: datetime, rules: Rules = USUAL
) -> Change | None:
    """What becomes of a pattern with so many errors in the last hour and in the one before it."""
    if standing.state == RESOLVED:
        return None
    above = standing.limit is not None and in_hour > standing.limit
    if standing.state == IGNORED:
        return _ignored(standing, above, in_hour, now)
    if standing.state == ESCALATING:
        return _escalating(standing, above, in_hour, hour_before, now, rules)
    if above:
        return Change(ESCALATING, ESCALATED, _too_many(standing, in_hour))
    if standing.state == NEW and now - standing.first_seen >= rules.new_for:
        return Change(ONGOING, AGED, f"known for {_length(rules.new_for)}")
    if standing.state == REGRESSED and now - standing.since >= rules.regressed_for:
        why = f"nobody decided for {_length(rules.regressed_for)} after it came back"
        return Change(ONGOING, AGED, why)
    return None


def _ignored(standing: Standing, above: bool, in_hour: int, now: datetime) -> Change | None:
    if standing.ignored_until_escalating and above:
        return Change(ESCALATING, ESCALATED, _too_many(standing, in_hour))
    if standing.ignored_until is not None and now >= standing.ignored_until:
        return Change(ONGOING, UNIGNORED, "the time for which it was ignored is over")
    until = standing.ignored_until_count
    if until is not None and standing.count >= until:
        return Change(ONGOING, UNIGNORED, "as many more errors came as it was ignored for")
    return None


def _escalating(
    standing: Standing,
    above: bool,
    in_hour: int,
    hour_before: int,
    now: datetime,
    rules: Rules,
) -> Change | None:
    if now - standing.since >= rules.adapts_after:
        why = f"so many for {_length(rules.adapts_after)}: its limit is learnt anew"
        return Change(ONGOING, CALMED, why)
    if above or (standing.limit is not None and hour_before > standing.limit):
        return None
    limit = "its limit" if standing.limit is None else f"its limit of {amount(standing.limit)}"
    return Change(
        ONGOING,
        CALMED,
        f"{in_hour:,} and {hour_before:,} errors in the last two hours, within {limit} an hour",
    )


def comes_back(
    *,
    resolved_at: datetime,
    resolved_in: str,
    seen_at: datetime,
    versions: Collection[str],
    known: Mapping[str, datetime],
) -> str:
    """Why errors bring a resolved pattern back, "" where they do not.

    `seen_at` is the time of the newest of them, `versions` are those that they came from, `known`
    says when each version of the service was first seen. Where the pattern was resolved in a
    version, only errors of that one and of later ones count: not those of versions that were seen
    before it, or before the decision where that came earlier. Nor do errors that tell no version.
    """
    if seen_at <= resolved_at:
        return ""
    if not resolved_in:
        return BACK_BY_TIME
    border = min(resolved_at, known.get(resolved_in, resolved_at))
    for version in versions:
        if version == resolved_in or (version and known.get(version, seen_at) >= border):
            return BACK_BY_VERSION
    return ""


def _too_many(standing: Standing, in_hour: int) -> str:
    assert standing.limit is not None
    return f"{in_hour:,} errors in an hour, above its limit of {amount(standing.limit)}"


def _length(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    number, unit = (hours / 24, "day") if hours >= 24 else (hours, "hour")
    return f"{number:g} {unit}{'' if number == 1 else 's'}"
