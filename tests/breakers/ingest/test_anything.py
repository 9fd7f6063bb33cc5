"""Whatever is sent under the names of the control plane is stored or passed over, never an error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.domain.telemetry import Decoded, LogRecord, MetricPoint, Resource
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_metrics import store_metrics
from breakers.models import Breaker, BreakerTransition, Instance
from tests.analytics.store.telemetry import log, ns
from tests.breakers.domain.test_signals import keys, values
from tests.breakers.ingest.test_events import moved, store

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]

NAMES = [
    *(f"resilience.breaker.{n}" for n in (
        "transition", "rate_exceeded", "rejected", "configured", "outcomes", "calls",
        "slow_calls", "state",
    )),
    "resilience.retry.attempt", "resilience.retry.budget_exhausted", "resilience.retry.window_calls",
    "resilience.fallback.served", "resilience.bulkhead.rejected", "resilience.bulkhead.breach",
    "resilience.bulkhead.active", "resilience.degraded.changed", "resilience.healing.reported",
    "resilience.unheard.of",
]  # fmt: skip


def as_decoded(value: Any) -> bool:
    """Whether the decoders of OTLP hand such a value over: whole numbers have 64 bits."""
    if isinstance(value, str):
        return "\ud800" not in value
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return not isinstance(value, list | dict) or all(
        as_decoded(each) for each in (value.values() if isinstance(value, dict) else value)
    )


attributes = st.dictionaries(keys, values.filter(as_decoded), max_size=8)
names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8
) | st.just("x" * 500)
sources = st.builds(
    lambda service, instance: Resource(service, "", instance, "v" * 300, "", "", {}), names, names
)
few = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), attributes, sources), min_size=1, max_size=4))
@few
def test_any_event_is_taken(items: list[tuple[str, dict[str, Any], Resource]]) -> None:
    now = datetime.now(UTC)
    records: list[LogRecord] = [
        log("x", at=now, event_name=name, source=source)._replace(attributes=given)
        for name, given, source in items
    ]
    result = store_logs(Decoded(records, []), received_at=now)
    assert result.stored + result.duplicates == len(records)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES), attributes, sources,
            st.sampled_from(["gauge", "sum", "histogram"]),
            st.floats() | st.none(), st.integers(0, 2**63 - 1),
        ),
        min_size=1,
        max_size=4,
    )
)  # fmt: skip
@few
def test_any_point_is_taken(items: list[tuple[Any, ...]]) -> None:
    now = datetime.now(UTC)
    points = [
        MetricPoint(
            source, "s", name, "1", kind, 2 if kind != "gauge" else 0, True, ns(now) - 10**9, ns(now),
            given, value, count, value, None, None,
            {"bounds": [], "counts": [count]} if kind == "histogram" else None,
        )
        for name, given, source, kind, value, count in items
    ]  # fmt: skip
    result = store_metrics(Decoded(points, []), received_at=now)
    assert result.stored + result.duplicates == len(points)


def test_overlong_names_are_cut_and_nothing_is_lost() -> None:
    long = "s" * 300
    record = moved("closed", "open", instance="i" * 300)
    resource = record.resource._replace(service=long)
    store(record._replace(resource=resource))
    breaker = Breaker.objects.get()
    assert (breaker.service, breaker.instance) == ("s" * 200, "i" * 200)
    assert BreakerTransition.objects.get().service == "s" * 200
    assert Instance.objects.get().instance == "i" * 200
