"""The figures of breakers, budgets and bulkheads, from the metrics of services."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.domain.telemetry import Decoded, MetricPoint
from analytics.services.ingest_metrics import store_metrics
from breakers.models import Breaker, Bulkhead, CallMinute, CallRollup, Instance, RetryBudget
from tests.analytics.store.telemetry import ns, resource

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
BEGAN = MINUTE - timedelta(seconds=30)


def point(
    name: str,
    at: datetime = MINUTE,
    *,
    kind: str = "gauge",
    began: datetime = BEGAN,
    value: float | None = None,
    count: int = 0,
    seconds: float = 0.0,
    instance: str = "planner-1",
    **attributes: Any,
) -> MetricPoint:
    cumulative = kind != "gauge"
    buckets = {"bounds": [0.1, 1.0], "counts": [count, 0, 0]} if kind == "histogram" else None
    return MetricPoint(
        resource("planner", instance), "breakers.runtime", f"resilience.{name}", "1", kind,
        2 if cumulative else 0, kind == "sum", ns(began) if cumulative else 0, ns(at),
        {f"resilience.{key.replace('__', '.')}": v for key, v in attributes.items()},
        value, count, seconds if kind == "histogram" else None, None, None, buckets,
    )  # fmt: skip


def calls(outcome: str, count: int, seconds: float, at: datetime, **more: Any) -> MetricPoint:
    return point(
        "breaker.calls", at, kind="histogram", count=count, seconds=seconds,
        breaker__name="graph", breaker__outcome=outcome, **more,
    )  # fmt: skip


def store(*points: MetricPoint) -> None:
    store_metrics(Decoded(list(points), []), received_at=datetime.now(UTC))


def test_calls_are_counted_by_what_their_totals_grew_by() -> None:
    later = MINUTE + timedelta(seconds=15)
    store(calls("success", 10, 1.0, MINUTE), calls("failure", 2, 4.0, MINUTE))
    store(calls("success", 25, 2.5, later), calls("failure", 3, 5.0, later),
          calls("ignored", 4, 0.1, later),
          point("breaker.slow_calls", later, kind="sum", value=2.0, breaker__name="graph"))  # fmt: skip
    rows = CallRollup.objects.order_by("at").values_list(
        "at", "calls", "failures", "ignored", "slow"
    )
    assert list(rows) == [
        (MINUTE, 12, 2, 0, 0),
        (MINUTE + timedelta(seconds=10), 16, 1, 4, 2),
    ]
    minute = CallMinute.objects.get()
    assert (minute.calls, minute.failures, minute.slow) == (28, 3, 2)
    assert minute.seconds == pytest.approx(7.5)


def test_the_same_points_sent_again_count_once() -> None:
    batch = [calls("success", 10, 1.0, MINUTE)]
    store(*batch)
    store(*batch)
    assert CallMinute.objects.get().calls == 10


def test_a_state_gauge_makes_a_breaker_known_and_corrects_a_missed_transition() -> None:
    def state(value: str, at: datetime, reading: float = 1.0) -> MetricPoint:
        return point(
            "breaker.state", at, value=reading, breaker__name="graph", breaker__state=value
        )

    store(state("closed", MINUTE))
    breaker = Breaker.objects.get()
    assert (breaker.state, breaker.since) == ("closed", MINUTE)
    later = MINUTE + timedelta(seconds=15)
    store(state("closed", later), state("open", later, reading=0.0))
    assert (Breaker.objects.get().state, Breaker.objects.get().since) == ("closed", MINUTE)
    store(state("open", later + timedelta(seconds=5)))
    assert Breaker.objects.get().state == "open"


def test_gauges_of_bulkheads_and_budgets_stand_as_they_were_told_last() -> None:
    name = {"bulkhead__name": "user_operations"}
    store(
        point("bulkhead.active", value=3.0, **name),
        point("bulkhead.limit", value=20.0, **name),
        point("retry.window_calls", value=50.0, dependency="graph"),
        point("retry.window_retries", value=5.0, dependency="graph"),
        point("retry.budget_left", value=30.0, dependency="graph"),
    )
    later = MINUTE + timedelta(seconds=5)
    store(point("bulkhead.active", later, value=4.0, **name),
          point("bulkhead.queued", later, value=1.0, **name))  # fmt: skip
    bulkhead = Bulkhead.objects.get()
    assert (bulkhead.active, bulkhead.queued, bulkhead.limit) == (4, 1, 20)
    budget = RetryBudget.objects.get()
    assert (budget.calls, budget.retries, budget.left) == (50, 5, 30)


def test_an_instance_whose_totals_begin_anew_was_restarted() -> None:
    store(calls("success", 10, 1.0, MINUTE))
    assert (Instance.objects.get().restarts, Instance.objects.get().started_at) == (0, BEGAN)
    store(calls("success", 11, 1.0, MINUTE + timedelta(seconds=5)))
    assert Instance.objects.get().restarts == 0
    again = MINUTE + timedelta(seconds=8)
    store(calls("success", 2, 0.2, MINUTE + timedelta(seconds=20), began=again))
    instance = Instance.objects.get()
    assert (instance.restarts, instance.started_at) == (1, again)


def test_metrics_of_others_and_of_nobody_change_nothing() -> None:
    store(
        point("breaker.state", value=1.0, breaker__state="open"),
        point("breaker.calls", kind="histogram", count=5, seconds=1.0),
        point("bulkhead.active", value=float("nan"), bulkhead__name="user_operations"),
        point("telemetry.dropped", kind="sum", value=3.0),
    )
    assert not Breaker.objects.exists()
    assert not Bulkhead.objects.exists()
    assert not CallMinute.objects.exists()
