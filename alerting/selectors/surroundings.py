"""What the site knows about the places of alerts: where chains of errors began, and which failing
checks explain the others.

What came to be so only long after an alert began is not its cause, however long the alert stands.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from alerting.domain.incidents import NEAR, Around, Seen, dependencies_of
from alerting.selectors.callees import services_called
from analytics.models import CorrelationChain
from health.choices import HealthState
from health.models import CheckStatus

# Chains of the time before an alert speak for its cause.
BEFORE: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
# A service is the root of another's errors when at least so many chains say so, and half of them.
FEWEST_CHAINS: Final = 3
_NEWEST_CHAINS: Final = 2_000
_BY_MINUTE: Final = """
SELECT crossed.service, chain.root_cause_service, date_trunc('minute', chain.started_at), count(*)
FROM (
    SELECT services, root_cause_service, started_at FROM analytics_correlationchain
    WHERE opened_on >= %(day)s AND started_at >= %(since)s AND started_at < %(until)s
        AND services && %(services)s::text[]
    ORDER BY started_at DESC LIMIT %(limit)s
) AS chain CROSS JOIN LATERAL unnest(chain.services) AS crossed (service)
WHERE crossed.service = ANY(%(services)s) GROUP BY 1, 2, 3
"""
# Of each service: how many chains began where in which minute.
_Minutes = Mapping[str, Sequence[tuple[datetime, str, int]]]


def surroundings(alerts: Sequence[Seen], now: datetime) -> dict[UUID, Around]:
    """Of each alert what the site knows around it; four queries, however many alerts."""
    if not alerts:
        return {}
    traces = {str(each.facts.get("trace_id") or "") for each in alerts} - {""}
    of_trace = _roots_of_traces(traces)
    # Whose trace is known needs no guess from all chains of its service.
    asked = [each for each in alerts if str(each.facts.get("trace_id") or "") not in of_trace]
    minutes = _chain_minutes({each.service for each in asked} - {""}, _times(asked, now))
    dependencies = {each.id: dependencies_of(each) for each in alerts}
    called = services_called({name for names in dependencies.values() for name in names})
    failing = _failing_checks({each.service for each in alerts if not each.ended_at} - {""})
    found = {}
    for each in alerts:
        root = of_trace.get(str(each.facts.get("trace_id") or "")) or _root(each, minutes)
        checks = [] if each.ended_at else failing.get(each.service, [])
        found[each.id] = Around(
            frozenset({root} - {""}),
            {check: of for check, of, since in checks if since <= each.started_at + NEAR},
            frozenset(called[name] for name in dependencies[each.id] if name in called),
        )
    return found


def _chain_minutes(services: Collection[str], within: tuple[datetime, datetime]) -> _Minutes:
    """How many of the chains that crossed each of `services` began where, minute by minute."""
    found: dict[str, list[tuple[datetime, str, int]]] = defaultdict(list)
    if not services:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            _BY_MINUTE,
            {
                "day": within[0].date(),
                "since": within[0],
                "until": within[1],
                "services": sorted(services),
                "limit": _NEWEST_CHAINS,
            },
        )
        for service, root, minute, count in cursor.fetchall():
            found[service].append((minute, root, count))
    return found


def _root(alert: Seen, minutes: _Minutes) -> str:
    """The service in which most of the chains around the beginning of the alert began."""
    since, until = alert.started_at - BEFORE - _MINUTE, alert.started_at + NEAR
    roots: Counter[str] = Counter()
    for minute, root, count in minutes.get(alert.service, ()):
        if since < minute <= until:
            roots[root] += count
    if not roots:
        return ""
    root, count = min(roots.items(), key=lambda each: (-each[1], each[0]))
    return root if count >= FEWEST_CHAINS and 2 * count >= roots.total() else ""


def _times(alerts: Sequence[Seen], now: datetime) -> tuple[datetime, datetime]:
    begun = [each.started_at for each in alerts] or [now]
    until = max(now, *begun)
    return max(min(begun) - BEFORE, until - LONGEST), until


def _roots_of_traces(traces: Collection[str]) -> dict[str, str]:
    if not traces:
        return {}
    rows = CorrelationChain.objects.filter(trace_id__in=traces).order_by("started_at")
    return dict(rows.values_list("trace_id", "root_cause_service"))


def _failing_checks(
    services: Collection[str],
) -> Mapping[str, Sequence[tuple[str, str, datetime]]]:
    """Of each service the checks that explain why it fails now: (id, service of the check, since
    when it explains that)."""
    rows: Iterable[tuple[Any, ...]] = CheckStatus.objects.filter(
        Q(state=HealthState.DOWN) | Q(culprit__isnull=False),
        check_row__service_id__in=services,
        check_row__enabled=True,
    ).values_list(
        "check_row__service_id", "check_row_id", "since", "culprit_id", "culprit__service_id"
    )
    found: dict[str, list[tuple[str, str, datetime]]] = defaultdict(list)
    for service, check, since, culprit, of in rows if services else ():
        found[service].append((str(culprit or check), of if culprit else service, since))
    return found
