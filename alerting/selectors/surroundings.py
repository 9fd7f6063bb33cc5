"""What the site knows about the places of alerts: where chains of errors began, and which failing
checks explain the others.

What came to be so only long after an alert began is not its cause, however long the alert stands.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from alerting.domain.calls import elsewhere, named_in
from alerting.domain.incidents import MOST_WORDS, NEAR, Around, Seen, dependencies_of, words_of
from alerting.selectors.callees import calls_of, services_called
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
    """Of each alert what the site knows around it; six queries, however many alerts."""
    if not alerts:
        return {}
    traces = {str(each.facts.get("trace_id") or "") for each in alerts} - {""}
    of_trace = _roots_of_traces(traces)
    # Whose trace is known needs no guess from all chains of its service.
    asked = [each for each in alerts if str(each.facts.get("trace_id") or "") not in of_trace]
    minutes = _chain_minutes({each.service for each in asked} - {""}, _times(asked, now))
    roots = {
        each.id: of_trace.get(str(each.facts.get("trace_id") or "")) or _root(each, minutes)
        for each in alerts
    }
    calls = _Calls(alerts, roots)
    failing = _failing_checks({each.service for each in alerts if not each.ended_at} - {""})
    return {
        each.id: _around(each, roots[each.id], calls, failing.get(each.service, ()))
        for each in alerts
    }


def _around(alert: Seen, root: str, calls: _Calls, failing: Sequence[_Failing]) -> Around:
    named = calls.named(alert, root)
    service = named[0] if named else alert.service
    own = {named[1]} if named else dependencies_of(alert)
    others = calls.elsewhere(service, own)
    checks = {
        each.check: each.service
        for each in failing
        if alert.ended_at is None
        and each.since <= alert.started_at + NEAR
        and not (own and (each.service in others or calls.are_others(service, own, each.words)))
    }
    called = frozenset(filter(None, map(calls.called, own)))
    return Around(frozenset({root} - {""}), checks, called, named, others)


class _Calls:
    """The calls that the services of alerts make, and which of them somebody speaks of."""

    def __init__(self, alerts: Iterable[Seen], roots: Mapping[UUID, str]) -> None:
        called = services_called({name for each in alerts for name in dependencies_of(each)})
        telling = [each for each in alerts if dependencies_of(each) or words_of(each)]
        services = {name for each in telling for name in (each.service, roots[each.id])}
        self._names = calls_of({*services, *called.values()} - {""})
        names = {name for names in self._names.values() for name in names}
        self._called = {**services_called(names - called.keys()), **called}

    def called(self, name: str) -> str:
        """The service that a call goes to; empty where that is not known."""
        return self._called.get(name, "")

    def named(self, alert: Seen, root: str) -> tuple[str, str] | None:
        """The one call of the alert's service, or of that in which it began, that its words name
        where its labels name none."""
        if dependencies_of(alert):
            return None
        for service in dict.fromkeys((alert.service, root)):
            found = named_in(words_of(alert), self._names.get(service, ()))
            if len(found) == 1:
                return service, min(found)
        return None

    def elsewhere(self, service: str, own: Collection[str]) -> frozenset[str]:
        """The services behind other calls of the service, and not behind those that it calls."""
        names = self._names.get(service, frozenset()) | set(own) if own else ()
        found = elsewhere({each: self.called(each) for each in names}, own)
        through = [self._names.get(self.called(each), ()) for each in own]
        return found - {self.called(name) for names in through for name in names}

    def are_others(self, service: str, own: Collection[str], words: str) -> bool:
        """Whether words name calls of the service, but none of its `own`."""
        found = named_in(words, self._names.get(service, frozenset()) | set(own))
        return bool(found) and not found & set(own)


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


@dataclass(frozen=True)
class _Failing:
    """A check that explains since when a service fails: the service that it is of, and its words."""

    check: str
    service: str
    since: datetime
    words: str


def _failing_checks(services: Collection[str]) -> Mapping[str, Sequence[_Failing]]:
    """Of each service the checks that explain why it fails now."""
    found: dict[str, list[_Failing]] = defaultdict(list)
    if not services:
        return found
    rows: Iterable[tuple[Any, ...]] = CheckStatus.objects.filter(
        Q(state=HealthState.DOWN) | Q(culprit__isnull=False),
        check_row__service_id__in=services,
        check_row__enabled=True,
    ).values_list(
        "check_row__service_id", "check_row_id", "check_row__name", "since", "last_output",
        "culprit_id", "culprit__service_id", "culprit__name",
    )  # fmt: skip
    for service, check, name, since, output, culprit, of, blamed in rows:
        found[service].append(
            _Failing(str(culprit), of, since, blamed)
            if culprit
            else _Failing(str(check), service, since, f"{name} {output}"[:MOST_WORDS])
        )
    return found
