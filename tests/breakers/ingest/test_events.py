"""What services report of their breakers, retries, fallbacks and bulkheads, as rows."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.domain.telemetry import Decoded, LogRecord
from analytics.services.ingest_logs import store_logs
from breakers.domain.keys import breaker_key
from breakers.models import (
    Breaker,
    BreakerTransition,
    BulkheadBreach,
    BulkheadRollup,
    CallMinute,
    CallRollup,
    DomainMember,
    FallbackRollup,
    Instance,
    OutcomeBatch,
    RetryRollup,
)
from resilience_site.core import journal
from tests.analytics.store.telemetry import log, resource

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC).replace(microsecond=0)


def event(
    name: str, *, at: datetime = NOW, instance: str = "planner-1", **attributes: Any
) -> LogRecord:
    given = {key.replace("__", "."): value for key, value in attributes.items()}
    record = log("x", at=at, event_name=f"resilience.{name}", source=resource("planner", instance))
    return record._replace(attributes={f"resilience.{key}": v for key, v in given.items()})


def moved(
    before: str, after: str, *, at: datetime = NOW, instance: str = "planner-1", **more: Any
) -> LogRecord:
    return event(
        "breaker.transition", at=at, instance=instance, breaker__name="graph",
        breaker__from_state=before, breaker__to_state=after, **more,
    )  # fmt: skip


def store(*records: LogRecord) -> None:
    store_logs(Decoded(list(records), []), received_at=datetime.now(UTC))


def test_a_transition_sets_the_state_and_stands_in_the_history() -> None:
    store(
        moved(
            "closed", "open", breaker__reason="failure_rate", breaker__failure_rate=0.6,
            breaker__calls=20, breaker__retry_after=30,
        )
    )  # fmt: skip
    breaker = Breaker.objects.get()
    assert (breaker.service, breaker.name, breaker.instance) == ("planner", "graph", "planner-1")
    assert (breaker.state, breaker.since, breaker.reason) == ("open", NOW, "failure_rate")
    assert (breaker.failure_rate, breaker.window_calls) == (0.6, 20)
    assert breaker.next_probe_at == NOW + timedelta(seconds=30)
    assert breaker.key == breaker_key("planner", "graph")
    transition = BreakerTransition.objects.get()
    assert (transition.from_state, transition.to_state) == ("closed", "open")
    assert Instance.objects.get().instance == "planner-1"


def test_a_transition_without_instance_or_figures_counts_like_any_other() -> None:
    store(moved("closed", "open", instance=""))
    assert Breaker.objects.get().state == "open"
    assert BreakerTransition.objects.count() == 1
    assert not Instance.objects.exists()


def test_the_newest_transition_decides_whatever_comes_first() -> None:
    store(moved("open", "half_open", at=NOW - timedelta(seconds=1)))
    store(moved("closed", "open", at=NOW - timedelta(seconds=60)))
    assert Breaker.objects.get().state == "half_open"
    store(moved("half_open", "closed"), moved("open", "half_open", at=NOW - timedelta(seconds=2)))
    assert Breaker.objects.get().state == "closed"
    assert BreakerTransition.objects.count() == 4


def test_a_transition_that_is_sent_twice_is_stored_once() -> None:
    record = moved("closed", "open")
    store(record)
    store(record, moved("open", "half_open", at=NOW + timedelta(seconds=1)))
    assert BreakerTransition.objects.count() == 2


def test_a_transition_tells_open_pages() -> None:
    cursor = journal.latest_cursor()
    store(moved("closed", "open", breaker__reason="failure_rate"))
    told = [each for each in journal.read(cursor) if each.topic == "breakers"]
    assert [(each.key, each.state, each.service) for each in told] == [
        (breaker_key("planner", "graph"), "open", "planner")
    ]
    assert told[0].payload["reason"] == "failure_rate"


@pytest.mark.parametrize(
    "record",
    [
        moved("closed", "ajar"),
        moved("", "open"),
        event("breaker.transition", breaker__from_state="closed", breaker__to_state="open"),
        event("breaker.rejected", breaker__name="graph", breaker__count=-3),
        event("breaker.rejected", breaker__name="graph", breaker__count="many"),
        event("breaker.configured", breaker__name="graph", breaker__policy="{"),
        event("breaker.configured", breaker__name="graph", breaker__policy="[1]"),
        event("breaker.outcomes", breaker__name="graph", breaker__batch="not base64!"),
        event("fallback.served"),
        event("bulkhead.rejected", bulkhead__tier="free"),
        event("healing.reported", command__id="7"),
        event("invented.by_somebody", breaker__name="graph"),
    ],
)
def test_what_cannot_be_read_is_passed_over_and_its_neighbours_stored(record: LogRecord) -> None:
    store(record, moved("closed", "open"))
    assert Breaker.objects.get().state == "open"
    assert not CallMinute.objects.exists()
    assert not OutcomeBatch.objects.exists()


def test_rejections_are_counted_with_the_calls() -> None:
    store(
        event("breaker.rejected", breaker__name="graph", breaker__count=40),
        event("breaker.rejected", breaker__name="graph", breaker__count="2"),
    )
    store(event("breaker.rejected", breaker__name="graph", instance="planner-2"))
    assert sorted(CallRollup.objects.values_list("instance", "rejected")) == [
        ("planner-1", 42),
        ("planner-2", 1),
    ]
    assert CallMinute.objects.get().rejected == 43


def test_attempts_are_counted_by_classification_and_outcome() -> None:
    attempt = {"dependency": "graph", "retry__classification": "transient"}
    store(
        event("retry.attempt", retry__outcome="retried", retry__delay_ms=100.5, **attempt),
        event("retry.attempt", retry__outcome="retried", retry__delay_ms=200, **attempt),
        event("retry.attempt", retry__outcome="succeeded", retry__delay_ms=0, **attempt),
        event("retry.budget_exhausted", dependency="graph"),
    )
    counted = RetryRollup.objects.values_list("classification", "outcome", "attempts", "delay_ms")
    assert sorted(counted) == [
        ("", "budget_exhausted", 1, 0.0),
        ("transient", "retried", 2, 300.5),
        ("transient", "succeeded", 1, 0.0),
    ]


def test_fallbacks_are_counted_with_the_age_of_what_they_served() -> None:
    served = {"dependency": "graph", "fallback__source": "stale_cache"}
    store(
        event("fallback.served", fallback__age_seconds=4.0, **served),
        event("fallback.served", fallback__age_seconds=10, **served),
        event("fallback.served", dependency="graph", fallback__source="stale_cache"),
    )
    row = FallbackRollup.objects.get()
    assert (row.served, row.aged, row.age_sum, row.age_max) == (3, 2, 14.0, 10.0)


def test_bulkheads_are_counted_by_tier_and_reason_and_breaches_kept() -> None:
    name = {"bulkhead__name": "user_operations"}
    store(
        event("bulkhead.rejected", bulkhead__tier="free", bulkhead__reason="queue_full",
              bulkhead__count=5, **name),
        event("bulkhead.breach", bulkhead__kind="stuck", bulkhead__mitigation="resized", **name),
    )  # fmt: skip
    assert BulkheadRollup.objects.get().rejected == 5
    breach = BulkheadBreach.objects.get()
    assert (breach.name, breach.kind, breach.mitigation) == ("user_operations", "stuck", "resized")


def test_a_configured_breaker_shows_its_policy_and_its_domains() -> None:
    policy = json.dumps({"failure_threshold": 3, "timeout": 120.0, "max_timeout": None})
    store(
        event("breaker.configured", breaker__name="graph", breaker__policy=policy,
              breaker__domains="graph-eu,microsoft"),
    )  # fmt: skip
    breaker = Breaker.objects.get()
    assert breaker.state == "closed"
    assert breaker.policy == {"failure_threshold": 3, "timeout": 120.0, "max_timeout": None}
    assert sorted(DomainMember.objects.values_list("domain", flat=True)) == [
        "graph-eu",
        "microsoft",
    ]
    # The probe's time comes from the policy where the transition does not say it.
    store(moved("closed", "open", at=NOW + timedelta(seconds=1)))
    assert Breaker.objects.get().next_probe_at == NOW + timedelta(seconds=121)


def test_recorded_outcomes_are_kept_as_they_came() -> None:
    batch = base64.b64encode(b"recorded").decode()
    record = event("breaker.outcomes", breaker__name="graph", breaker__batch=batch)
    store(record)
    store(record, moved("closed", "open"))
    kept = OutcomeBatch.objects.get()
    assert (bytes(kept.data), kept.at, kept.instance) == (b"recorded", NOW, "planner-1")
