"""Figures of breakers, retries and bulkheads, read when metrics are collected."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from breakers.runtime.call_meter import BOUNDS, CallsOfOutcome
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.telemetry_names import DEPENDENCY, SIGNALS

if TYPE_CHECKING:
    from breakers.runtime.resilience import Resilience

MAX_SERIES = 200
_NAME = "resilience.breaker.name"


class Figures:
    """The gauges and counters of one `Resilience`, as instruments of a meter."""

    def __init__(self, meter: Any, resilience: Resilience, dropped: Callable[[], int]) -> None:
        self._resilience = resilience
        self._dropped_so_far = dropped
        reads: dict[str, Callable[[Any], Iterable[Any]]] = {
            "resilience.breaker.failure_rate": lambda _: self._rates("failure_rate"),
            "resilience.breaker.slow_call_rate": lambda _: self._rates("slow_call_rate"),
            "resilience.breaker.state": self._states,
            "resilience.breaker.slow_calls": self._slow_calls,
            "resilience.retry.window_calls": lambda _: self._budgets("calls"),
            "resilience.retry.window_retries": lambda _: self._budgets("retries"),
            "resilience.retry.budget_left": lambda _: self._budgets("left"),
            "resilience.bulkhead.active": lambda _: self._bulkheads("active"),
            "resilience.bulkhead.queued": lambda _: self._bulkheads("queued"),
            "resilience.bulkhead.limit": lambda _: self._bulkheads("limit"),
            "resilience.telemetry.dropped": self._dropped,
        }
        kinds = {
            "gauge": meter.create_observable_gauge,
            "counter": meter.create_observable_counter,
        }
        for each in SIGNALS:
            if each.kind in kinds:
                kinds[each.kind](each.name, [reads[each.name]], each.unit, each.meaning)

    def _breakers(self) -> list[CircuitBreaker]:
        return list(self._resilience.breakers.named())[:MAX_SERIES]

    def _rates(self, field: str) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for breaker in self._breakers():
            rate = getattr(breaker.snapshot(), field)
            if rate is not None:
                yield Observation(rate, {_NAME: breaker.name})

    def _states(self, options: object) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for breaker in self._breakers():
            state = breaker.state.value
            yield Observation(1, {_NAME: breaker.name, "resilience.breaker.state": state})

    def _slow_calls(self, options: object) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for breaker in self._breakers():
            yield Observation(breaker.slow_calls, {_NAME: breaker.name})

    def _budgets(self, field: str) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for dependency, budget in list(self._resilience.budgets().items())[:MAX_SERIES]:
            yield Observation(getattr(budget.snapshot(), field), {DEPENDENCY: dependency})

    def _bulkheads(self, field: str) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        for boundary in self._resilience.bulkheads.boundaries()[:MAX_SERIES]:
            value = getattr(boundary.bulkhead.snapshot(), field)
            yield Observation(value, {"resilience.bulkhead.name": boundary.resource_type})

    def _dropped(self, options: object) -> Iterable[Any]:
        from opentelemetry.metrics import Observation

        return [Observation(self._dropped_so_far())]


def with_calls(
    batch: Any, scope: str, calls: Iterable[tuple[str, CallsOfOutcome]], began: int
) -> Any:
    """`batch` of metrics with the histogram of breakers' `calls` since `began` added to `scope`.

    The calls are counted by `CallMeter`, at a tenth of what recording them one by one costs, and
    the SDK has no instrument that observes a histogram.
    """
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        Histogram,
        HistogramDataPoint,
        Metric,
        MetricsData,
        ResourceMetrics,
        ScopeMetrics,
    )

    now = time.time_ns()
    points = [
        HistogramDataPoint(
            attributes={_NAME: name, "resilience.breaker.outcome": counted.outcome},
            start_time_unix_nano=began,
            time_unix_nano=now,
            count=sum(counted.buckets),
            sum=counted.seconds,
            bucket_counts=counted.buckets,
            explicit_bounds=BOUNDS,
            min=None,  # type: ignore[arg-type]  # not known, and optional in OTLP
            max=None,  # type: ignore[arg-type]
            exemplars=[],
        )
        for name, counted in calls
    ]
    if not points or not batch.resource_metrics:
        return batch
    first, *others = batch.resource_metrics
    (signal,) = [each for each in SIGNALS if each.name == "resilience.breaker.calls"]
    data = Histogram(points, AggregationTemporality.CUMULATIVE)
    metric = Metric(signal.name, signal.meaning, signal.unit, data)
    scopes = []
    added = False
    for each in first.scope_metrics:
        metrics = list(each.metrics)
        if each.scope.name == scope and not added:
            metrics.append(metric)
            added = True
        scopes.append(ScopeMetrics(each.scope, metrics, each.schema_url))
    if not added:
        return batch
    resource = ResourceMetrics(first.resource, scopes, first.schema_url)
    return MetricsData([resource, *others])
