"""What services send, and what analytics finds in it by itself, reaches people: from telemetry
through the tasks to what is sent."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

import breakers.runtime as runtime
from alerting.models import Alert, Delivery
from alerting.services.dispatch import alerts_dispatch
from alerting.services.rules import evaluate
from alerting.services.rules.shipped import rules_ship
from alerting.services.shipped_routing import routing_ship
from alerting.tasks import rules_evaluate
from analytics.domain.otlp_protobuf import decode_logs
from analytics.models import Anomaly, Prediction
from analytics.services.anomaly_detection import SETTLE
from analytics.services.ingest_logs import store_logs
from analytics.tasks import anomalies_detect, failures_foresee
from breakers.runtime import ClientVariables, Resilience, RetryBudget, export
from breakers.runtime.retry import Retry
from tests.alerting.pipeline.scene import channel_made
from tests.analytics.figures.history import write_calls
from tests.analytics.store.conftest import store as empty_store
from tests.breakers.ingest.test_events import event, store
from tests.patience import PATIENCE
from tests.runtime.sink import Sink

pytestmark = pytest.mark.usefixtures("empty_store")

__all__ = ["empty_store"]

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def shipped(empty_store: None) -> None:
    """The site as it comes, with one channel, its rules begun."""
    routing_ship()
    channel_made("chat")
    rules_ship(now=datetime.now(UTC))
    rules_evaluate()


def told(rule: str) -> tuple[Alert, Delivery]:
    """The one alert of a rule, and what a channel was sent of it."""
    rules_evaluate()
    alert = Alert.objects.get(rule_name=rule)
    alerts_dispatch(now=datetime.now(UTC))
    alerts_dispatch(now=datetime.now(UTC) + 10 * MINUTE)
    (delivery,) = [
        each
        for each in Delivery.objects.filter(channel_name="chat")
        if str(alert.pk) in str(each.message)
    ]
    return alert, delivery


def test_a_failure_that_telemetry_foretells_is_told_before_it_comes() -> None:
    at = datetime.now(UTC) - MINUTE
    store(
        *[event("retry.attempt", at=at, dependency="graph", retry__outcome="retried")] * 30,
        *[event("fallback.served", at=at, dependency="graph", fallback__source="cache")] * 12,
        *[event("bulkhead.rejected", at=at, bulkhead__name="writes", bulkhead__count=9)] * 12,
    )
    assert not Alert.objects.exists()
    failures_foresee()
    found = Prediction.objects.get()
    alert, delivery = told("failure_predicted")
    assert (alert.state, alert.service, alert.labels["failure"]) == (
        "firing", found.service, found.kind,
    )  # fmt: skip
    assert alert.facts["probability"] == found.probability
    assert alert.annotations["summary"] in str(delivery.message)
    assert "planner will probably fail" in alert.annotations["summary"]
    # The same signs a minute later are no second alert.
    failures_foresee()
    rules_evaluate()
    assert Alert.objects.filter(rule_name="failure_predicted").count() == 1


def test_errors_that_leave_their_usual_range_are_told_of() -> None:
    noise = random.Random(1)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    broken, until = now - SETTLE - 5 * MINUTE, now - SETTLE
    write_calls(
        "planner", now - timedelta(hours=6), broken,
        lambda at: (noise.randrange(180, 220), noise.randrange(0, 4), 10.0),
    )  # fmt: skip
    write_calls("planner", broken, until, lambda at: (200, 120, 10.0))
    anomalies_detect()
    found = Anomaly.objects.get(metric="error_rate")
    alert, delivery = told("anomaly")
    assert (alert.state, alert.service, alert.labels["metric"]) == (
        "firing", "planner", "error_rate",
    )  # fmt: skip
    assert alert.facts["value"] == found.value == pytest.approx(0.6)
    assert alert.annotations["summary"] in str(delivery.message)


def test_a_retry_budget_that_a_client_has_used_up_is_told_of_until_it_has_grown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "breakers.runtime.process._default",
        Resilience(ClientVariables({}), sleep=lambda seconds: None),
    )
    monkeypatch.setattr(export, "EXPORT_TIMEOUT", PATIENCE)
    with Sink().listening() as sink:
        connection = runtime.connect(
            sink.url, key="k" * 20, service="planner", register=False, control=False
        )
        budget = RetryBudget(ratio=0, floor_per_second=1, window=60, limit=3)
        retry = Retry("graph", budget=budget, sleep=lambda seconds: None)
        for _ in range(5):
            assert retry.execute_sync(refuse).error is not None
        connection.shutdown(PATIENCE)
    for _, _, batch in sink.of("/v1/logs"):
        sent = decode_logs(batch.SerializeToString(), now_ns=0)
        store_logs(sent, received_at=datetime.now(UTC))
    alert, delivery = told("retry_budget_exhausted")
    assert (alert.state, alert.severity, alert.service) == ("firing", "ticket", "planner")
    assert alert.labels["dependency"] == "graph"
    assert alert.annotations["summary"] == "planner has used up its retries of graph"
    assert alert.annotations["summary"] in str(delivery.message)
    # It ends by itself, five minutes after the last retry that was refused.
    later = datetime.now(UTC) + 20 * MINUTE
    evaluate.rules_evaluate(now=later)
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert alert.ended_at is not None
    assert timedelta() < alert.ended_at - alert.started_at < 8 * MINUTE
    alerts_dispatch(now=later)
    over = Delivery.objects.get(message__status="resolved")
    assert over.message["title"] == "Over: planner has used up its retries of graph"


def refuse() -> str:
    raise ConnectionError("graph refuses")
