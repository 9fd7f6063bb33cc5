"""Why alerts of a trial may be others than those that fired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from alerting.domain.rules.conditions import BurnCondition, Condition, FigureCondition
from alerting.models import AlertRule
from analytics.models.late import LATE_KEPT
from analytics.models.partitions import whole_since
from analytics.selectors.slos import slos_enabled
from health.models.partitions import RESULTS
from resilience_site.core.formatting import exact

# A day before a range is looked at as well, for what holds at its beginning.
_BEFORE: Final = timedelta(days=2)


def trial_notes(rule: AlertRule, condition: Condition, since: datetime, now: datetime) -> list[str]:
    """Sentences on why alerts of the trial may differ from those that fired; empty where a rule that
    was live all the time made exactly these."""
    return [
        *_changed(rule, since),
        *_forgotten(condition, since, now),
        *_by_hours(condition, since, now),
    ]


def _changed(rule: AlertRule, since: datetime) -> Iterator[str]:
    if rule.changed_at is not None and rule.changed_at > since:
        yield (
            f"The rule is as it is since {exact(rule.changed_at)}: nothing that fired before fired "
            "by it, and what held then fired then or went on."
        )


def _forgotten(condition: Condition, since: datetime, now: datetime) -> Iterator[str]:
    """Figures that came late, and former terms of objectives, are kept apart for a while."""
    if not isinstance(condition, FigureCondition | BurnCondition):
        return
    kept = LATE_KEPT - _BEFORE
    if since < now - kept:
        yield (
            f"What came late, and when, is known for {kept.days} days: before "
            f"{exact(now - kept)} the trial goes by all that is known today."
        )


def _by_hours(condition: Condition, since: datetime, now: datetime) -> Iterator[str]:
    """Single runs of checks are kept for a week, their hours for longer."""
    if not isinstance(condition, BurnCondition):
        return
    kept = whole_since(RESULTS, now)
    reaches = since - timedelta(seconds=condition.long_seconds)
    if reaches < kept and any(each.terms.of_runs for each in slos_enabled()):
        yield (
            f"Single runs of checks are kept since {exact(kept)}: of objectives of latency that are "
            "measured by checks, windows that begin before then begin at whole hours."
        )
