"""What happened in a range, for the resilience report: breakers, alerts, incidents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import connection
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q, QuerySet

from alerting.choices import DeliveryState, Purpose, Severity
from alerting.domain.reports.figures import AlertLine, BreakerLine, IncidentLine
from alerting.models import Delivery, Incident
from breakers.choices import BreakerState
from breakers.domain.keys import breaker_key
from breakers.models import BreakerTransition
from resilience_site.core.timerange import TimeRange

Breaker = tuple[str, str]
_MOST_INCIDENTS: Final = 2_000
_URGENCY: Final = {str(severity): place for place, severity in enumerate(Severity)}

_ALERTS = """
SELECT rule_name, source, severity,
    count(*) FILTER (WHERE fired_at >= %(since)s),
    count(*) FILTER (WHERE fired_at >= %(since)s AND told_at IS NULL
        AND suppressed_by <> '[]'::jsonb),
    sum(extract(epoch FROM LEAST(COALESCE(ended_at, %(until)s), %(until)s)
        - GREATEST(fired_at, %(since)s)))::float8,
    count(*) FILTER (WHERE ended_at IS NULL OR ended_at >= %(until)s)
FROM alerting_alert
WHERE fired_at < %(until)s AND (ended_at IS NULL OR ended_at > %(since)s OR fired_at >= %(since)s)
GROUP BY rule_name, source, severity
"""


@dataclass(frozen=True)
class Openings:
    """Transitions of a breaker into open, and how many of them were probes that failed."""

    openings: int
    probes_failed: int


@dataclass(frozen=True)
class Incidents:
    """Incidents that began in a range, with the mean seconds until they were acknowledged and
    until they ended, of the so many that were."""

    began: int
    acknowledged: int
    ended: int
    acknowledge_seconds: float | None
    resolve_seconds: float | None


def breaker_openings(within: TimeRange) -> dict[Breaker, Openings]:
    """How often each breaker opened, in all of its instances together."""
    rows = (
        BreakerTransition.objects.filter(
            at__gte=within.since, at__lt=within.until, to_state=BreakerState.OPEN
        )
        .exclude(from_state=BreakerState.OPEN)
        .order_by()
        .values_list("service", "name")
        .annotate(count=Count("id"), again=Count("id", Q(from_state=BreakerState.HALF_OPEN)))
    )
    return {(service, name): Openings(count, again) for service, name, count, again in rows}


def breaker_lines(
    now: dict[Breaker, Openings], before: dict[Breaker, Openings]
) -> list[BreakerLine]:
    """A line of each breaker that opened in either of two ranges, the most openings first."""
    none = Openings(0, 0)
    lines = [
        BreakerLine(
            service,
            name,
            breaker_key(service, name),
            now.get((service, name), none).openings,
            now.get((service, name), none).probes_failed,
            before.get((service, name), none).openings,
        )
        for service, name in {*now, *before}
    ]
    return sorted(lines, key=lambda line: (-line.openings, -line.before, line.service, line.name))


def alert_lines(within: TimeRange, before: TimeRange) -> list[AlertLine]:
    """A line of each rule that had alerts firing in either of two ranges, the most urgent first."""
    now, then = _alerts(within), _alerts(before)
    lines = [
        AlertLine(
            rule, source, severity, fired, then.get((rule, source, severity), _NONE)[0], held,
            seconds, open_,
        )
        for (rule, source, severity), (fired, held, seconds, open_) in {
            **dict.fromkeys(then, _NONE), **now,
        }.items()
    ]  # fmt: skip
    return sorted(
        lines,
        key=lambda line: (_URGENCY.get(line.severity, 9), -line.fired, -line.before, line.rule),
    )


_NONE: Final = (0, 0, 0.0, 0)


def _alerts(within: TimeRange) -> dict[tuple[str, str, str], tuple[int, int, float, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_ALERTS, {"since": within.since, "until": within.until})
        return {
            (rule, source, severity): (fired, held, seconds or 0.0, open_)
            for rule, source, severity, fired, held, seconds, open_ in cursor.fetchall()
        }


def incidents_between(within: TimeRange) -> QuerySet[Incident]:
    """Incidents that began in the range, without those that became part of others."""
    return Incident.objects.filter(
        started_at__gte=within.since, started_at__lt=within.until, merged_into=None
    )


def incident_sums(within: TimeRange) -> Incidents:
    """How many incidents began, and how long people took for them."""
    found = incidents_between(within).aggregate(
        began=Count("id"),
        acknowledged=Count("acknowledged_at"),
        ended=Count("ended_at"),
        acknowledge=_mean("acknowledged_at"),
        resolve=_mean("ended_at"),
    )
    return Incidents(
        began=found["began"],
        acknowledged=found["acknowledged"],
        ended=found["ended"],
        acknowledge_seconds=_seconds(found["acknowledge"]),
        resolve_seconds=_seconds(found["resolve"]),
    )


def incident_lines(within: TimeRange) -> list[IncidentLine]:
    """The incidents that began in the range, the most urgent first, then the longest; of very many
    the newest."""
    rows = incidents_between(within).order_by("-started_at", "-id")[:_MOST_INCIDENTS]
    lines = [
        IncidentLine(
            id=str(each.id),
            title=each.title,
            severity=each.severity,
            state=each.state,
            started_at=each.started_at,
            ended_at=each.ended_at,
            acknowledged_at=each.acknowledged_at,
            culprit=each.culprit,
            cause=str(each.cause.get("text", "")),
        )
        for each in rows
    ]
    return sorted(
        lines,
        key=lambda line: (
            _URGENCY.get(line.severity, 9),
            -((line.ended_at or within.until) - line.started_at).total_seconds(),
        ),
    )


def deliveries_ended(within: TimeRange) -> tuple[int, int]:
    """Notifications of alerts that arrived, and those that failed for good."""
    ended = Delivery.objects.filter(
        purpose=Purpose.ALERTS, ended_at__gte=within.since, ended_at__lt=within.until
    ).aggregate(
        delivered=Count("id", Q(state=DeliveryState.DELIVERED)),
        failed=Count("id", Q(state=DeliveryState.FAILED)),
    )
    return ended["delivered"], ended["failed"]


def _mean(field: str) -> Avg:
    length = ExpressionWrapper(F(field) - F("started_at"), output_field=DurationField())
    return Avg(length, filter=Q(**{f"{field}__isnull": False}))


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
