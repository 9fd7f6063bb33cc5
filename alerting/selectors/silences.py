"""Silences, and what one would hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from django.db.models import QuerySet

from alerting.choices import AlertState
from alerting.domain.matchers import Matcher, all_match
from alerting.models import Alert, Silence
from alerting.selectors.labels import LINE_COLUMNS, alert_labels, matcher_columns

WEEK: Final = timedelta(days=7)
# Alerts of the week that a preview looks at, the newest first, and those that it lists.
MOST_EXAMINED: Final = 20_000
MOST_LISTED: Final = 20

SilenceState = Literal["pending", "active", "over"]


@dataclass(frozen=True)
class Hits:
    """What matchers hit: open alerts now, and those that began to fire within the last week."""

    now: int
    now_of: int
    listed: list[Alert]
    week: int
    # Rule → alerts, the most first.
    by_rule: list[tuple[str, int]]
    # Not all of the week's alerts were looked at.
    cut: bool


def silence_state(silence: Silence, now: datetime) -> SilenceState:
    if silence.ends_at <= now:
        return "over"
    return "active" if silence.starts_at <= now else "pending"


def silence_list(state: str, now: datetime) -> QuerySet[Silence]:
    """Silences of a `SilenceState`, or all of them, the newest first."""
    rows = Silence.objects.order_by("-created_at", "-id")
    if state == "over":
        return rows.filter(ends_at__lte=now)
    if state == "active":
        return rows.filter(starts_at__lte=now, ends_at__gt=now)
    if state == "pending":
        return rows.filter(starts_at__gt=now, ends_at__gt=now)
    return rows


def silence_find(silence_id: UUID) -> Silence | None:
    return Silence.objects.filter(pk=silence_id).first()


def silence_hits(matchers: Sequence[Matcher], now: datetime) -> Hits:
    """What a silence of these matchers would hit if it held now, or had held for a week."""
    open_now = Alert.objects.exclude(state=AlertState.RESOLVED)
    fired = Alert.objects.filter(fired_at__gte=now - WEEK, fired_at__lte=now)
    listed: list[Alert] = []
    hit_now = 0
    for alert in _matching(open_now, matchers):
        hit_now += 1
        if len(listed) < MOST_LISTED:
            listed.append(alert)
    examined = fired.filter(matcher_columns(matchers)).count()
    rules = Counter(alert.rule_name for alert in _matching(fired, matchers))
    return Hits(
        now=hit_now,
        now_of=open_now.count(),
        listed=listed,
        week=rules.total(),
        by_rule=rules.most_common(MOST_LISTED),
        cut=examined > MOST_EXAMINED,
    )


def _matching(rows: QuerySet[Alert], matchers: Sequence[Matcher]) -> Iterator[Alert]:
    found = rows.filter(matcher_columns(matchers)).order_by("-started_at", "-id")
    for alert in found.only(*LINE_COLUMNS)[:MOST_EXAMINED].iterator(1_000):
        if all_match(matchers, alert_labels(alert)):
            yield alert
