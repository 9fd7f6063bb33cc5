"""Where the numbers of /metrics come from: short reads of what is stored, the same in each process.

Counters count from midnight UTC, a reset that every reader of counters understands; the sums of
all time would fall whenever old data is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Model, Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from analytics.models import ErrorPattern, IngestRollup
from analytics.selectors.chain_reach import services_reached
from analytics.selectors.ingest_status import ingest_status
from analytics.selectors.name_limits import folded_totals
from analytics.selectors.rollups import Figures, operation_figures, service_figures
from breakers.models import (
    BreakerTransition,
    BulkheadBreach,
    BulkheadRollup,
    FallbackRollup,
    RetryRollup,
)
from resilience_site.core.timerange import TimeRange
from resilience_site.probes.healing_collectors import HEALING_COLLECTORS
from resilience_site.probes.health_collectors import HEALTH_COLLECTORS

WINDOW = timedelta(minutes=5)
REACH = timedelta(hours=1)
# A series per operation: enough to find the worst, too few to drown whoever scrapes.
MAX_SERVICES = 100
MAX_OPERATIONS = 20
MAX_SAMPLES = 5_000

Sample = tuple[tuple[str, ...], float]
Collector = Callable[[datetime], Iterable[Sample]]


def last_minutes(now: datetime) -> TimeRange:
    """The window of rates: whole minutes, the running one left out as it is not full yet."""
    until = now.replace(second=0, microsecond=0)
    return TimeRange(until - WINDOW, until)


def _operations(now: datetime) -> Iterator[tuple[str, str, Figures]]:
    within = last_minutes(now)
    services = service_figures(within)
    for service in sorted(services, key=lambda name: -services[name].calls)[:MAX_SERVICES]:
        for operation, figures in operation_figures(service, within, MAX_OPERATIONS).items():
            yield service, operation, figures


def _errors_per_second(now: datetime) -> Iterator[Sample]:
    for service, operation, figures in _operations(now):
        yield (service, operation), figures.errors / figures.seconds


def _error_patterns(now: datetime) -> Iterator[Sample]:
    counts = (
        ErrorPattern.objects.filter(merged_into__isnull=True)
        .values_list("service", "state")
        .annotate(count=Count("id"))
        .order_by("service", "state")
    )
    for service, state, count in counts:
        yield (service, str(state)), count


def _impact_radius(now: datetime) -> Iterator[Sample]:
    reached = services_reached(TimeRange(now - REACH, now), MAX_SERVICES)
    for service, count in sorted(reached.items()):
        yield (service,), count


def _today(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _breaker_transitions(now: datetime) -> Iterator[Sample]:
    labels = ("service", "name", "from_state", "to_state")
    rows = BreakerTransition.objects.filter(at__gte=_today(now)).values_list(*labels)
    for *values, count in rows.annotate(count=Count("id")).order_by(*labels)[:MAX_SAMPLES]:
        yield tuple(map(str, values)), count


def _retry_attempts(now: datetime) -> Iterator[Sample]:
    yield from _sums(RetryRollup, now, ("service", "dependency", "outcome"), "attempts")


def _fallback_activations(now: datetime) -> Iterator[Sample]:
    yield from _sums(FallbackRollup, now, ("service", "dependency", "source"), "served")


def _bulkhead_events(now: datetime) -> Iterator[Sample]:
    for (service, name), count in _sums(BulkheadRollup, now, ("service", "name"), "rejected"):
        yield (service, name, "rejected"), count
    breaches = BulkheadBreach.objects.filter(at__gte=_today(now)).values_list("service", "name")
    counted = breaches.annotate(count=Count("id")).order_by("service", "name")
    for service, name, count in counted[:MAX_SAMPLES]:
        yield (service, name, "breach"), count


def _sums(
    model: type[Model], now: datetime, labels: tuple[str, ...], field: str
) -> Iterator[Sample]:
    rows = model._default_manager.filter(minute__gte=_today(now)).values_list(*labels)
    for *values, total in rows.annotate(total=Sum(field)).order_by(*labels)[:MAX_SAMPLES]:
        yield tuple(map(str, values)), total


# By the name in the story's table; each owner adds its own.
COLLECTORS: dict[str, Collector] = {
    "resilience_breaker_transitions": _breaker_transitions,
    "resilience_retry_attempts": _retry_attempts,
    "resilience_fallback_activations": _fallback_activations,
    "resilience_bulkhead_events": _bulkhead_events,
    "resilience_errors_per_second": _errors_per_second,
    "resilience_error_patterns": _error_patterns,
    "resilience_error_impact_radius": _impact_radius,
    **HEALTH_COLLECTORS,
    **HEALING_COLLECTORS,
}


# --- The site's own --------------------------------------------------------------------------


def calls_per_second(now: datetime) -> Iterator[Metric]:
    """What the error rates are rates of."""
    family = GaugeMetricFamily(
        "resilience_calls_per_second",
        "Calls per second over the last 5 minutes",
        labels=("service", "operation"),
    )
    for service, operation, figures in _operations(now):
        family.add_metric((service, operation), figures.rate)
    yield family


def ingest_counts(now: datetime) -> Iterator[Metric]:
    """What arrived today, by what became of it."""
    items = CounterMetricFamily(
        "resilience_ingest_items",
        "Spans, log records and metric points received since midnight UTC",
        labels=("signal", "outcome"),
    )
    requests = CounterMetricFamily(
        "resilience_ingest_requests",
        "Telemetry requests received since midnight UTC",
        labels=("signal", "outcome"),
    )
    sums = (
        IngestRollup.objects.filter(minute__gte=_today(now))
        .values_list("signal", "outcome")
        .annotate(items=Sum("items"), requests=Sum("requests"))
        .order_by("signal", "outcome")
    )
    for signal, outcome, item_sum, request_sum in sums:
        items.add_metric((str(signal), str(outcome)), item_sum)
        requests.add_metric((str(signal), str(outcome)), request_sum)
    yield items
    yield requests


def backlog(now: datetime) -> Iterator[Metric]:
    """What was received but not yet worked through; the queue only where the broker tells."""
    status = ingest_status(now=now)
    yield GaugeMetricFamily(
        "resilience_ingest_lag_seconds",
        "Age of the oldest thing received and due, but not yet worked through",
        value=status.chains_age,
    )
    yield GaugeMetricFamily(
        "resilience_ingest_folding_services",
        "Services with too many patterns of errors, whose further ones are counted together",
        value=len(status.folding),
    )
    yield GaugeMetricFamily(
        "resilience_ingest_services_full",
        "1 while telemetry of services beyond the limit is stored as that of one",
        value=float(status.services_full),
    )
    yield from _beyond_limits(now)
    if status.queue is None:
        return
    yield GaugeMetricFamily(
        "resilience_task_queue_length", "Background tasks that wait", value=status.queue.length
    )
    if status.queue.oldest_age is not None:
        yield GaugeMetricFamily(
            "resilience_task_queue_age_seconds",
            "Age of the oldest background task that waits",
            value=status.queue.oldest_age,
        )


def _beyond_limits(now: datetime) -> Iterator[Metric]:
    items = CounterMetricFamily(
        "resilience_ingest_folded_items",
        "Spans, records and points that came beyond a limit of names, and were counted together",
        labels=("kind",),
    )
    services = GaugeMetricFamily(
        "resilience_ingest_names_full_services",
        "Services that gave more names than are kept apart within the last hour",
        labels=("kind",),
    )
    for kind, total, lately in folded_totals(now=now):
        items.add_metric((kind,), total)
        services.add_metric((kind,), lately)
    yield items
    yield services


SITE_COLLECTORS: dict[str, Callable[[datetime], Iterable[Metric]]] = {
    "calls": calls_per_second,
    "ingest": ingest_counts,
    "backlog": backlog,
}
