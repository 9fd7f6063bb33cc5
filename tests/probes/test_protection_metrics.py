"""The story's metrics of breakers, retries, fallbacks and bulkheads, as /metrics shows them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resilience_site.probes.collectors import COLLECTORS
from tests.analytics.store.conftest import store as empty_store
from tests.breakers.ingest.test_events import event, moved, store

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("empty_store")]

__all__ = ["empty_store"]


def test_what_happened_today_is_counted_by_its_labels() -> None:
    now = datetime.now(UTC)
    served = {"dependency": "graph", "fallback__source": "cache"}
    bulkhead = {"bulkhead__name": "user_operations"}
    store(
        moved("closed", "open", at=now),
        moved("closed", "open", at=now, instance="planner-2"),
        event("retry.attempt", at=now, dependency="graph", retry__outcome="retried"),
        event("fallback.served", at=now, **served),
        event("fallback.served", at=now, fallback__age_seconds=2, **served),
        event("bulkhead.rejected", at=now, bulkhead__count=5, **bulkhead),
        event("bulkhead.breach", at=now, bulkhead__kind="stuck", **bulkhead),
    )

    def samples(name: str) -> dict[tuple[str, ...], float]:
        return dict(COLLECTORS[name](datetime.now(UTC)))

    assert samples("resilience_breaker_transitions") == {("planner", "graph", "closed", "open"): 2}
    assert samples("resilience_retry_attempts") == {("planner", "graph", "retried"): 1}
    assert samples("resilience_fallback_activations") == {("planner", "graph", "cache"): 2}
    assert samples("resilience_bulkhead_events") == {
        ("planner", "user_operations", "rejected"): 5,
        ("planner", "user_operations", "breach"): 1,
    }
