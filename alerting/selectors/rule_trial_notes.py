"""What of a range has come to be otherwise since it was evaluated live."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import F, Q

from alerting.domain.rules.conditions import BurnCondition, Condition, FigureCondition
from alerting.models import AlertRule
from analytics.choices import SloSource
from analytics.models import Slo
from health.models import Outage
from resilience_site.core.formatting import exact

# Whoever is looked at later than this after the end of its minute was not looked at live.
_SETTLE: Final = timedelta(minutes=2)
_LATE: Final = """
SELECT EXISTS (SELECT FROM {table} WHERE minute >= %(since)s AND minute < %(until)s
    AND changed_at > minute + interval '1 minute' + %(settle)s
    AND (%(services)s::text[] = '{{}}' OR service = ANY(%(services)s)))
"""
_MOST_NAMED: Final = 5


def trial_notes(
    rule: AlertRule, condition: Condition, since: datetime, until: datetime
) -> list[str]:
    """Sentences on why alerts of the trial may differ from those that fired; empty where a rule that
    was live all the time made exactly these."""
    notes = []
    if rule.changed_at is not None and rule.changed_at > since:
        notes.append(
            f"The rule is as it is since {exact(rule.changed_at)}: nothing that fired before fired "
            "by it."
        )
    if isinstance(condition, FigureCondition):
        table = "errorrollup" if condition.metric == "errors" else "callrollup"
        notes += (
            _late(table, condition.services, since, until) if condition.metric != "chains" else []
        )
    elif isinstance(condition, BurnCondition):
        notes += [*_objectives(since), *_late("callrollup", [], since, until)]
        notes += _dated_back(since, until)
    return notes


def _late(table: str, services: list[str], since: datetime, until: datetime) -> Iterator[str]:
    asked: dict[str, Any] = {
        "since": since,
        "until": until,
        "settle": _SETTLE,
        "services": services,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LATE.format(table=f"analytics_{table}"), asked)
        if cursor.fetchone()[0]:
            yield (
                "Some figures of this range came more than 2 min after their minute: the trial knows "
                "them, and the alerts of that time did not."
            )


def _objectives(since: datetime) -> Iterator[str]:
    changed = Slo.objects.filter(
        Q(changed_at__gt=since) | Q(created_at__gt=since) | Q(deleted_at__gt=since)
    ).order_by("service", "id")
    names = list(dict.fromkeys(changed.values_list("service", flat=True)))
    if names:
        named = ", ".join(names[:_MOST_NAMED])
        rest = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        yield (
            f"Objectives of {named}{rest} were set, changed or deleted since the range began: the "
            "trial goes by those that hold now."
        )


def _dated_back(since: datetime, until: datetime) -> Iterator[str]:
    measured = Slo.objects.filter(enabled=True, deleted_at=None, source=SloSource.CHECKS)
    if Outage.objects.filter(
        check_row__critical=True,
        check_row__service__name__in=measured.values("service"),
        started_at__gte=since,
        started_at__lt=until,
        confirmed_at__gt=F("started_at") + _SETTLE,
    ).exists():
        yield (
            "Some failures of checks were confirmed more than 2 min after their first failed run, "
            "from which on they count: the alerts of that time did not know of them yet."
        )
