"""What the site knows about the places of alerts: where chains of errors began, and which failing
checks explain the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from alerting.domain.incidents import Around, Seen, dependencies_of
from alerting.selectors.callees import services_called
from analytics.models import CorrelationChain
from health.choices import HealthState
from health.models import CheckStatus

# Chains of the time before an alert speak for its cause.
BEFORE: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=1)
# A service is the root of another's errors when at least so many chains say so, and half of them.
FEWEST_CHAINS: Final = 3
_NEWEST_CHAINS: Final = 2_000
_ROOTS: Final = """
SELECT crossed.service, chain.root_cause_service, count(*)
FROM (
    SELECT services, root_cause_service FROM analytics_correlationchain
    WHERE opened_on >= %(day)s AND started_at >= %(since)s AND started_at < %(until)s
        AND services && %(services)s::text[]
    ORDER BY started_at DESC LIMIT %(limit)s
) AS chain CROSS JOIN LATERAL unnest(chain.services) AS crossed (service)
WHERE crossed.service = ANY(%(services)s) GROUP BY 1, 2
"""


def surroundings(alerts: Sequence[Seen], now: datetime) -> dict[UUID, Around]:
    """Of each alert what the site knows around it; four queries, however many alerts."""
    if not alerts:
        return {}
    traces = {str(each.facts.get("trace_id") or "") for each in alerts} - {""}
    of_trace = _roots_of_traces(traces)
    # Whose trace is known needs no guess from all chains of its service.
    asked = [each for each in alerts if str(each.facts.get("trace_id") or "") not in of_trace]
    of_service = service_roots({each.service for each in asked} - {""}, _times(alerts, now))
    dependencies = {each.id: dependencies_of(each) for each in alerts}
    called = services_called({name for names in dependencies.values() for name in names})
    failing = _failing_checks({each.service for each in alerts if not each.ended_at} - {""})
    found = {}
    for each in alerts:
        root = of_trace.get(str(each.facts.get("trace_id") or "")) or of_service.get(each.service)
        checks = {} if each.ended_at else failing.get(each.service, {})
        found[each.id] = Around(
            frozenset({root} - {None, ""}),  # type: ignore[arg-type]
            checks,
            frozenset(called[name] for name in dependencies[each.id] if name in called),
        )
    return found


def service_roots(services: Collection[str], within: tuple[datetime, datetime]) -> dict[str, str]:
    """The service in which most of the chains that crossed each of `services` began."""
    if not services:
        return {}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    with connection.cursor() as cursor:
        cursor.execute(
            _ROOTS,
            {
                "day": within[0].date(),
                "since": within[0],
                "until": within[1],
                "services": sorted(services),
                "limit": _NEWEST_CHAINS,
            },
        )
        for service, root, count in cursor.fetchall():
            counts[service][root] = count
    found = {}
    for service, roots in counts.items():
        root, count = min(roots.items(), key=lambda each: (-each[1], each[0]))
        if root and count >= FEWEST_CHAINS and 2 * count >= roots.total():
            found[service] = root
    return found


def _times(alerts: Sequence[Seen], now: datetime) -> tuple[datetime, datetime]:
    until = max([now, *(each.started_at for each in alerts)])
    return max(min(each.started_at for each in alerts) - BEFORE, until - LONGEST), until


def _roots_of_traces(traces: Collection[str]) -> dict[str, str]:
    if not traces:
        return {}
    rows = CorrelationChain.objects.filter(trace_id__in=traces).order_by("started_at")
    return dict(rows.values_list("trace_id", "root_cause_service"))


def _failing_checks(services: Collection[str]) -> Mapping[str, Mapping[str, str]]:
    """Of each service the checks that explain why it fails now: id → service of the check."""
    rows: Iterable[tuple[Any, ...]] = CheckStatus.objects.filter(
        Q(state=HealthState.DOWN) | Q(culprit__isnull=False),
        check_row__service_id__in=services,
        check_row__enabled=True,
    ).values_list("check_row__service_id", "check_row_id", "culprit_id", "culprit__service_id")
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for service, check, culprit, of in rows if services else ():
        found[service][str(culprit or check)] = of if culprit else service
    return found
