"""What failures touched: requests, users, tiers, services, traffic, budget, and who depends on it.

Requests are traces; where an error belongs to none, its correlation id stands for one, or else the
error itself. The newest requests are looked at one by one; with more of them than that, users and
tiers are at least so many, and the answer says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from analytics.choices import SloSource
from analytics.domain.impact import TIER_KEYS, USER_KEYS, Budget, dependents, first_of
from analytics.models import ErrorEvent, ErrorPattern
from analytics.selectors.pattern_families import FAMILY
from analytics.selectors.rollups import edge_list, service_figures
from analytics.selectors.slos import availability_slos, bad_between, budget_counts
from health.selectors.availability import target
from health.selectors.graph import Needers
from resilience_site.config import config
from resilience_site.core.formatting import duration, percent, three_digits
from resilience_site.core.timerange import TimeRange

# Of services without an objective.
BUDGET_DAYS = 30
SECONDS = "seconds"
PATTERN_RANGE = timedelta(hours=24)
# Looked at one by one.
MOST_REQUESTS = 1_000
# Of their traces, those that tell something: some traces are huge.
MOST_SPANS = 20_000
# Of one scope, newest first; with more of them, requests and budget are at least so many.
MOST_ERRORS = 20_000
_AROUND = timedelta(hours=1)
_FALLBACK = "resilience.fallback.served"
# What the newest requests say is read of those alone: attributes are most of an error's size.
_REQUESTS = """
WITH hit AS (
    SELECT occurred_at, service, trace_id, attributes,
        COALESCE(NULLIF(trace_id, ''), NULLIF(correlation_id, ''), id::text) AS request
    FROM analytics_errorevent WHERE {where} AND occurred_at >= %s AND occurred_at <= %s
    ORDER BY occurred_at DESC LIMIT %s
), requests AS (
    SELECT request, bool_or(trace_id <> '') AS traced, count(*) AS errors, max(occurred_at) AS last
    FROM hit GROUP BY request
), newest AS (
    SELECT request FROM requests ORDER BY last DESC, request LIMIT %s
), told AS (
    SELECT request, array_agg(DISTINCT service) AS services,
        jsonb_agg(DISTINCT attributes) FILTER (WHERE attributes ?| %s::text[]) AS attributes
    FROM hit JOIN newest USING (request) GROUP BY request
)
SELECT request, traced, errors, services, attributes
FROM requests LEFT JOIN told USING (request) ORDER BY last DESC, request
"""


@dataclass(frozen=True)
class Impact:
    """What the errors of a range touched.

    `users` is None where nothing says for whom a request was. `examined` of the `requests` were
    looked at one by one: for users, tiers, services and `served_degraded`, the requests that a
    fallback answered. `calls` are those of `service` in the range.
    """

    within: TimeRange
    service: str
    errors: int
    requests: int
    examined: int
    users: int | None
    tiers: dict[str, int]
    services: list[str]
    served_degraded: int
    calls: int
    budget: Budget
    blast_radius: list[str]
    capped: bool
    spans_cut: bool = False

    @property
    def approximate(self) -> bool:
        """Whether the numbers of users and tiers are at least so many, not exactly."""
        return self.capped or self.spans_cut or self.examined < self.requests

    @property
    def share_of_traffic(self) -> float | None:
        """Requests touched per call of the service, 0..1; None without calls."""
        return min(1.0, self.requests / self.calls) if self.calls else None

    @property
    def share_text(self) -> str:
        return percent(min(self.requests, self.calls), self.calls)

    @property
    def spent_text(self) -> str:
        spent = self.budget.spent or 0.0
        if spent >= 2:
            return f"{three_digits(spent)} times the budget"
        return percent(self.budget.failed, self.budget.allowed)

    @property
    def allowed_text(self) -> str:
        allowed = self.budget.allowed
        return f"{allowed:,.0f}" if allowed >= 10 else three_digits(allowed)

    @property
    def target_text(self) -> str:
        return percent(self.budget.target, 1)

    @property
    def budget_words(self) -> str:
        """What was spent, of how much, and what allows that."""
        budget = self.budget
        over = f"in the last {budget.days} days"
        if budget.unit == SECONDS:
            return (
                f"{self.spent_text}: down for {duration(budget.failed)} of the "
                f"{duration(budget.allowed)} that {self.target_text} allows of "
                f"{duration(budget.calls)} counted {over}"
            )
        return (
            f"{self.spent_text}: {budget.failed:,} of the {self.allowed_text} failures that "
            f"{self.target_text} allows of {budget.calls:,} calls {over}"
        )


@dataclass(frozen=True)
class _Scope:
    """Which errors: a condition of SQL with its parameters, and the service whose failure it is."""

    where: str
    parameters: Sequence[Any]
    within: TimeRange
    service: str


def error_impact(error: ErrorEvent, now: datetime) -> Impact:
    """What the request of one error touched: all errors of its trace, or of its correlation id
    within the correlation window."""
    window = timedelta(minutes=config.error_correlation_window_minutes)
    if error.trace_id:
        where, value = "trace_id = %s AND trace_id <> ''", error.trace_id
    elif error.correlation_id:
        where, value = "correlation_id = %s AND correlation_id <> ''", error.correlation_id
    else:
        where, value = "id = %s", str(error.id)
    at = error.occurred_at
    within = TimeRange(at - window, max(at, min(at + window, now)) + timedelta(microseconds=1))
    return _impact(_Scope(where, [value], within, error.service), now)


def pattern_impact(pattern: ErrorPattern, within: TimeRange, now: datetime) -> Impact:
    """What the errors of a pattern, and of those put into it, touched in a range."""
    scope = _Scope(f"pattern_id = ANY({FAMILY})", [pattern.id] * 2, within, pattern.service)
    return _impact(scope, now)


def window_impact(within: TimeRange, now: datetime, service: str) -> Impact:
    """What all errors of a service touched in a range, as of an incident."""
    return _impact(_Scope("service = %s", [service], within, service), now)


def _impact(scope: _Scope, now: datetime) -> Impact:
    requests, errors, members = _requests(scope)
    newest = list(requests)[:MOST_REQUESTS]
    traces = [request for request in newest if requests[request]]
    told = _Told()
    told.errors(members, set(newest))
    cut = told.spans(traces, scope.within)
    edges = [(each.caller, each.callee) for each in edge_list(TimeRange(now - PATTERN_RANGE, now))]
    degraded = _served_degraded(traces, scope.within)
    failed = max(0, len(requests) - degraded)
    services = told.services - {scope.service}
    needers = Needers().of(f"out:{scope.service}").services
    blast = (dependents(edges, [scope.service]) | needers) - {scope.service}
    return Impact(
        within=scope.within,
        service=scope.service,
        errors=errors,
        requests=len(requests),
        examined=len(newest),
        users=len(told.users) or None,
        tiers=dict(told.tiers().most_common()),
        services=[scope.service, *sorted(services)],
        served_degraded=degraded,
        calls=_calls(scope.service, scope.within),
        budget=_budget(scope, now, failed),
        blast_radius=sorted(blast),
        capped=errors >= MOST_ERRORS,
        spans_cut=cut,
    )


def _budget(scope: _Scope, now: datetime, failed: int) -> Budget:
    """By the service's objective of availability. Of one that is measured by checks, what was down
    within the scope's time is spent, and not requests."""
    slo = availability_slos([scope.service]).get(scope.service)
    days, aim = (slo.window_days, slo.objective) if slo else (BUDGET_DAYS, target())
    if slo is None or slo.source != SloSource.CHECKS:
        month = TimeRange(now - timedelta(days=days), now)
        calls = _calls(scope.service, month)
        return Budget(scope.service, days, aim, calls, failed, slo_id=slo.id if slo else None)
    counted = budget_counts([slo], now)[slo.id]
    down = bad_between(slo, scope.within)
    seconds, bad = (round(slo.terms.amount(each)) for each in (counted.total, down))
    return Budget(scope.service, days, aim, seconds, bad, SECONDS, slo.id)


def _calls(service: str, within: TimeRange) -> int:
    figures = service_figures(within)
    return figures[service].calls if service in figures else 0


def _requests(scope: _Scope) -> tuple[dict[str, bool], int, list[tuple[str, str, dict[str, Any]]]]:
    """The requests of a scope, newest first, each with whether it is a trace; the number of its
    errors; and of each error of the newest its request, service and attributes."""
    parameters = [*scope.parameters, scope.within.since, scope.within.until, MOST_ERRORS]
    with connection.cursor() as cursor:
        cursor.execute(
            _REQUESTS.format(where=scope.where),
            [*parameters, MOST_REQUESTS, [*USER_KEYS, *TIER_KEYS]],
        )
        requests: dict[str, bool] = {}
        members: list[tuple[str, str, dict[str, Any]]] = []
        errors = 0
        for request, is_trace, count, services, attributes in cursor.fetchall():
            requests[request] = is_trace
            errors += count
            members += [(request, service, {}) for service in services or []]
            members += [(request, "", each) for each in _read(attributes) or []]
    return requests, errors, members


class _Told:
    """What errors and spans say of requests: for whom, at which tier, through which services."""

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.services: set[str] = set()
        self._tier_of: dict[str, str] = {}

    def tiers(self) -> Counter[str]:
        """Requests by tier."""
        return Counter(self._tier_of.values())

    def errors(self, members: Sequence[tuple[str, str, dict[str, Any]]], newest: set[str]) -> None:
        for request, service, attributes in members:
            if request in newest:
                self._take(request, service, attributes)

    def spans(self, traces: Sequence[str], within: TimeRange) -> bool:
        """The spans of the traces that name a user or a tier, or failed; whether some were left."""
        if not traces:
            return False
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT trace_id, CASE WHEN status = 2 THEN service ELSE '' END, attributes "
                "FROM analytics_span WHERE trace_id = ANY(%s) AND started_at BETWEEN %s AND %s "
                "AND (status = 2 OR attributes ?| %s::text[]) LIMIT %s",
                [
                    list(traces), within.since - _AROUND, within.until + _AROUND,
                    [*USER_KEYS, *TIER_KEYS], MOST_SPANS + 1,
                ],
            )  # fmt: skip
            rows = cursor.fetchall()
        for request, service, attributes in rows[:MOST_SPANS]:
            self._take(request, service, _read(attributes))
        return len(rows) > MOST_SPANS

    def _take(self, request: str, service: str, attributes: dict[str, Any]) -> None:
        if service:
            self.services.add(service)
        if user := first_of(attributes, USER_KEYS):
            self.users.add(user)
        if tier := first_of(attributes, TIER_KEYS):
            self._tier_of.setdefault(request, tier)


def _read(value: Any) -> Any:
    """A value of jsonb: a cursor of Django's hands it over as text."""
    return json.loads(value) if isinstance(value, str) else value


def _served_degraded(traces: Sequence[str], within: TimeRange) -> int:
    """How many of the traces a fallback answered."""
    if not traces:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT trace_id) FROM analytics_logrecord WHERE trace_id = ANY(%s) "
            "AND event_name = %s AND time BETWEEN %s AND %s",
            [list(traces), _FALLBACK, within.since - _AROUND, within.until + _AROUND],
        )
        return int(cursor.fetchone()[0])
