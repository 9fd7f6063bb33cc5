"""Signs and failures collected, failures foretold, and what was foretold settled; in simulated
time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection, transaction

from analytics.choices import FailureKind, PredictionMethod, PredictionOutcome
from analytics.domain.foresight.trees import Growth
from analytics.models import ObservedFailure, Prediction, PredictionModel, ReadCursor, Sign
from analytics.selectors.predictions import track_record
from analytics.services.prediction_models import models_fit
from analytics.services.predictions import predictions_make, predictions_settle
from analytics.services.retention import retention_apply
from analytics.services.sign_tap import take_events, take_points
from analytics.services.signs import signs_collect
from health.models import Service
from resilience_site.config import config
from resilience_site.core import journal, taps
from resilience_site.core.journal import Entry
from resilience_site.core.taps import EventSeen, PointSeen
from tests.analytics.figures.history import write_calls
from tests.analytics.slos.scenes import slo

pytestmark = pytest.mark.usefixtures("store")

MINUTE = timedelta(minutes=1)
NOW = datetime.now(UTC).replace(second=10, microsecond=0)
THIS = NOW.replace(second=0)


def sign(kind: str, minutes_ago: int, count: int = 1, service: str = "planner") -> None:
    Sign.objects.create(service=service, minute=THIS - minutes_ago * MINUTE, kind=kind, count=count)


def failing(*, retries: int = 30) -> None:
    """A service of which the rules say that a breaker opens soon."""
    sign("retries", 1, retries)
    sign("errors:TimeoutError", 2, 12)


def tell(*entries: Entry) -> None:
    with transaction.atomic():
        journal.append(entries)


def opened(service: str = "planner", before: str = "closed") -> Entry:
    told = {"name": "graph", "from_state": before, "instance": "a", "reason": ""}
    return Entry("breakers", "breaker.transition", "k", "open", service, told)


def told(topic: str = "predictions") -> list[tuple[str, str, dict[str, object]]]:
    return [(each.kind, each.state, each.payload) for each in journal.read(0, [topic])]


# --- Signs ---------------------------------------------------------------------------------------


def event(name: str, **attributes: object) -> EventSeen:
    at = int(NOW.timestamp() * 1e9)
    return EventSeen("planner", "a", "", f"resilience.{name}", at, attributes, "")


def point(name: str, value: float, **attributes: object) -> PointSeen:
    at = int(NOW.timestamp() * 1e9)
    return PointSeen("planner", "a", "", f"resilience.{name}", at, 0, attributes, value, None, None)


def test_events_and_gauges_are_counted_as_signs_per_minute() -> None:
    with transaction.atomic():
        take_events([event("retry.attempt")] * 3 + [event("fallback.served")], NOW)
        take_events([event("retry.attempt")], NOW)
        take_events(
            [event("breaker.transition", **{"resilience.breaker.to_state": "half_open"})], NOW
        )
        # Too old to foretell anything.
        take_events([event("retry.attempt")], NOW + timedelta(hours=2))
        pool = {"resilience.bulkhead.name": "writes"}
        take_points(
            [
                point("bulkhead.limit", 10, **pool),
                point("bulkhead.active", 9, **pool),
                point("bulkhead.active", 9, **{"resilience.bulkhead.name": "unlimited"}),
                point("breaker.slow_call_rate", 0.4),
                point("breaker.slow_call_rate", 0.1),
            ],
            NOW,
        )
    rows = Sign.objects.values_list("minute", "kind", "count").order_by("kind")
    assert list(rows) == [
        (THIS, "breaker:half_open", 1),
        (THIS, "retries", 4),
        (THIS, "saturation", 1),
        (THIS, "slow", 1),
    ]


def test_what_is_stored_reaches_the_signs() -> None:
    taps.prepare([int(NOW.timestamp() * 1e9)], NOW)
    with transaction.atomic():
        taps.deliver_events([event("retry.attempt", **{"resilience.dependency": "graph"})], NOW)
        odd = [["a", "list"], {"a": 1}, "\0", None]
        taps.deliver_points(
            [point("bulkhead.active", 9, **{"resilience.bulkhead.name": each}) for each in odd], NOW
        )
    assert Sign.objects.get().kind == "retries"


def test_the_journal_tells_of_failures_and_of_changing_checks_once() -> None:
    since = (NOW - 3 * MINUTE).isoformat()
    outage = {"since": since, "check": {"name": "db"}}
    tell(
        Entry("health", "state_changed", "1", "down", "planner", {}),
        Entry("health", "failure_confirmed", "1", "down", "planner", outage),
        opened(),
        opened(),
        opened("mail", before="half_open"),
        Entry("anomalies", "anomaly_started", "mail", "", "mail", {"metric": "latency_p95"}),
    )
    for _ in range(2):
        signs_collect(now=NOW)
    kinds = Sign.objects.values_list("service", "kind", "count").order_by("kind")
    assert list(kinds) == [("mail", "anomaly:latency_p95", 1), ("planner", "checks:down", 1)]
    failures = ObservedFailure.objects.values_list("service", "kind", "subject").order_by("kind")
    assert list(failures) == [
        ("planner", FailureKind.BREAKER_OPEN, "graph"),
        ("planner", FailureKind.HEALTH_DOWN, "db"),
    ]
    assert ObservedFailure.objects.get(kind=FailureKind.HEALTH_DOWN).at.isoformat() == since


def test_entries_of_other_topics_are_read_past_once() -> None:
    tell(*[Entry("traffic", "seen", "planner")] * 3)
    signs_collect(now=NOW)
    reader = ReadCursor.objects.get(reader="signs-journal")
    assert reader.position == journal.latest_cursor() > 0


def test_a_burning_budget_is_a_sign_and_then_a_breach() -> None:
    start = THIS - timedelta(hours=2)

    def calls(at: datetime) -> tuple[int, int, float]:
        # The budget of 99.9 % burns fifty times too fast for the last half hour.
        return (100, 5 if at >= THIS - timedelta(minutes=30) else 0, 10.0)

    write_calls("planner", start, THIS, calls)
    # Nine failures are fewer than the guard asks for.
    few = THIS - timedelta(minutes=9)
    write_calls("mail", start, THIS, lambda at: (1, int(at >= few), 10.0))
    slo("planner", window_days=30)
    slo("mail", window_days=30)
    ReadCursor.objects.create(reader="signs-minutes", through=THIS - timedelta(minutes=50))
    found = signs_collect(now=NOW)
    assert found
    burning = list(Sign.objects.filter(kind="burn").values_list("service", "minute"))
    assert {service for service, _ in burning} == {"planner"}
    failure = ObservedFailure.objects.get()
    assert (failure.service, failure.kind) == ("planner", FailureKind.SLO_BREACH)
    # 14.4 of the hour's burn at 50 a minute: after 60 * 14.4 / 50 = 17.3 minutes.
    begun = THIS - timedelta(minutes=30)
    assert timedelta(minutes=17) <= failure.at - begun <= timedelta(minutes=19)
    assert min(minute for _, minute in burning) < failure.at - timedelta(minutes=10)
    signs = Sign.objects.count()
    assert signs_collect(now=NOW) == 0
    signs_collect(now=NOW + MINUTE)
    assert ObservedFailure.objects.count() == 1
    assert Sign.objects.count() >= signs


# --- Rules ---------------------------------------------------------------------------------------


def test_two_unusual_families_foretell_an_opening_breaker_with_reasons() -> None:
    failing()
    assert predictions_make(now=NOW) == 1
    prediction = Prediction.objects.get()
    assert (prediction.service, prediction.kind) == ("planner", FailureKind.BREAKER_OPEN)
    assert prediction.method == PredictionMethod.RULES
    assert prediction.probability == pytest.approx(0.6)
    assert prediction.confidence == 0
    assert prediction.due_at - prediction.made_at == timedelta(minutes=30)
    assert prediction.reasons == [
        "30 retries in the last 5 min; usually 0 in 5 min, over the 24 h before",
        "12 stored errors in the last 5 min; usually 0 in 5 min, over the 24 h before",
    ]
    # The same minute, and the next one, foretell nothing twice.
    assert predictions_make(now=NOW) == predictions_make(now=NOW + MINUTE) == 0
    kind, state, payload = told()[0]
    assert (kind, state) == ("prediction_made", "breaker_open")
    assert {"id", "service", "kind", "probability", "confidence", "horizon_seconds", "made_at",
            "due_at", "method", "reasons"} == set(payload)  # fmt: skip


def test_the_usual_of_a_young_service_is_that_of_its_own_time() -> None:
    failing()
    sign("errors:TimeoutError", 20, 36)
    young = Service.objects.create(
        name="planner", first_seen=THIS - 35 * MINUTE, last_seen=NOW, environment="demo"
    )
    predictions_make(now=NOW)
    # 12 errors are three times the usual of a whole day, not of half an hour.
    assert not Prediction.objects.exists()
    Service.objects.filter(pk=young.pk).update(first_seen=THIS - 3 * MINUTE)
    Sign.objects.filter(minute__lt=THIS - 10 * MINUTE).delete()
    predictions_make(now=NOW)
    assert Prediction.objects.get().reasons == [
        "30 retries in the last 5 min; what is usual is not known yet",
        "12 stored errors in the last 5 min; what is usual is not known yet",
    ]


def test_what_is_usual_or_alone_foretells_nothing() -> None:
    sign("retries", 1, 30)
    assert predictions_make(now=NOW) == 0
    sign("errors:TimeoutError", 2, 12)
    # As many retries as in any five minutes of the day before.
    for hour in range(1, 23):
        sign("retries", 60 * hour, 30 * 12)
    assert predictions_make(now=NOW) == 0


def test_a_service_that_has_just_failed_is_not_foretold_to_fail() -> None:
    failing()
    ObservedFailure.objects.create(
        service="planner", kind=FailureKind.BREAKER_OPEN, subject="graph", at=NOW - 10 * MINUTE
    )
    assert predictions_make(now=NOW) == 0


def test_the_switch_stops_collecting_and_foretelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "predictive_failure_detection", False)
    failing()
    tell(opened())
    with transaction.atomic():
        take_events([event("retry.attempt")], NOW)
    assert signs_collect(now=NOW) == predictions_make(now=NOW) == 0
    assert models_fit(now=NOW) == []
    assert Sign.objects.count() == 2
    assert not ObservedFailure.objects.exists()


# --- Afterwards ----------------------------------------------------------------------------------


def test_a_foreseen_failure_settles_its_prediction_as_a_hit_with_its_lead() -> None:
    failing()
    predictions_make(now=NOW - 10 * MINUTE) or predictions_make(now=NOW)
    # The journal tells of the failure by the real clock.
    now = datetime.now(UTC)
    Prediction.objects.update(made_at=now - 10 * MINUTE, due_at=now + 20 * MINUTE)
    tell(opened())
    signs_collect(now=NOW)
    assert ObservedFailure.objects.get().foreseen
    later = datetime.now(UTC) + MINUTE
    assert predictions_settle(now=later) == 1
    assert predictions_settle(now=later) == 0
    prediction = Prediction.objects.get()
    assert prediction.outcome == PredictionOutcome.HIT
    assert prediction.lead_seconds == pytest.approx(600, abs=120)
    kind, state, payload = told()[-1]
    assert (kind, state) == ("prediction_settled", "hit")
    assert payload["lead_seconds"] == prediction.lead_seconds


def test_a_prediction_misses_only_when_its_time_is_over_and_failures_had_time_to_be_known() -> None:
    failing()
    predictions_make(now=NOW)
    assert predictions_settle(now=NOW + timedelta(minutes=34)) == 0
    assert predictions_settle(now=NOW + timedelta(minutes=36)) == 1
    assert Prediction.objects.get().outcome == PredictionOutcome.MISS
    assert told()[-1][1] == "miss"


def test_the_track_record_counts_what_was_settled_and_what_was_missed() -> None:
    Service.objects.create(name="planner", first_seen=NOW - timedelta(days=4), last_seen=NOW)
    kind = FailureKind.BREAKER_OPEN
    for number, outcome in enumerate(("hit", "hit", "miss", "pending")):
        Prediction.objects.create(
            id=f"00000000-0000-0000-0000-00000000000{number}", service="planner", kind=kind,
            probability=0.6, confidence=0.1, horizon_seconds=1800,
            made_at=NOW - timedelta(days=number, hours=1), due_at=NOW, reasons=[],
            method=PredictionMethod.RULES, outcome=outcome,
            lead_seconds=300 if outcome == "hit" else None,
        )  # fmt: skip
    for number in range(4):
        ObservedFailure.objects.create(
            service="planner", kind=kind, subject="graph", at=NOW - timedelta(days=number),
            foreseen=number < 2,
        )  # fmt: skip
    record = next(each for each in track_record(now=NOW) if each.kind == kind)
    assert (record.rules.hits, record.rules.settled) == (2, 3)
    assert record.both.precision == pytest.approx(2 / 3)
    assert record.both.lead_seconds == 300
    assert record.recall == 0.5
    assert record.false_per_day == pytest.approx(1 / 4)
    assert record.reason == "The rules stay: a model needs 20 failures to learn from, has 4."
    # The rule's own record is what its next probability rests on.
    failing()
    ObservedFailure.objects.all().delete()
    Prediction.objects.filter(outcome="pending").delete()
    predictions_make(now=NOW)
    assert Prediction.objects.get(outcome="pending").probability == pytest.approx(5 / 8)


# --- A model of the site's own history -----------------------------------------------------------


@pytest.fixture
def history() -> Callable[[int, str], None]:
    """Failures of three services over some weeks, each announced by a pair of signs that no rule
    knows, among signs that mean nothing."""

    def write(failures: int, kind: str) -> None:
        random = np.random.default_rng(7)
        signs, failed, at = [], [], THIS - timedelta(hours=3)
        for _ in range(failures):
            at -= timedelta(hours=2, minutes=int(random.integers(30, 700)))
            service = ("planner", "mail", "auth")[random.integers(3)]
            failed.append(
                ObservedFailure(service=service, kind=kind, subject="x", at=at + 10 * MINUTE)
            )
            for sort, minutes in (("anomaly:latency_p95", 0), ("saturation:rejected", 2)):
                signs.append(
                    Sign(service=service, minute=at + minutes * MINUTE, kind=sort, count=2)
                )
        for minute in random.choice(8 * 60 * failures, 10 * failures, replace=False):
            sort = ("retries", "anomaly:latency_p95", "errors:TimeoutError")[minute % 3]
            service = ("planner", "mail", "auth")[minute % 7 % 3]
            at = THIS - timedelta(hours=2, minutes=int(minute))
            signs.append(Sign(service=service, minute=at, kind=sort, count=1))
        Sign.objects.bulk_create(signs, ignore_conflicts=True)
        ObservedFailure.objects.bulk_create(failed)

    return write


def test_a_model_is_fitted_from_enough_failures_and_used_because_it_is_better(
    history: Callable[[int, str], None],
) -> None:
    history(60, FailureKind.HEALTH_DOWN)
    found = {
        model.kind: model for model in models_fit(now=NOW, growth=Growth(rounds=50, rate=0.15))
    }
    model = found[FailureKind.HEALTH_DOWN]
    assert model.used, model.reason
    assert model.failures == 60
    assert model.scores["model"]["f1"] > 0.7 > model.scores["rules"]["f1"]
    assert "The model is better: F1" in model.reason
    assert found[FailureKind.BREAKER_OPEN].reason == (
        "The rules stay: a model needs 20 failures to learn from, has 0."
    )
    # Once a day.
    assert models_fit(now=NOW) == []
    # What it learnt is what it foretells by.
    sign("anomaly:latency_p95", 3, 2)
    sign("saturation:rejected", 1, 2)
    assert predictions_make(now=NOW) == 1
    prediction = Prediction.objects.get()
    assert prediction.method == PredictionMethod.MODEL
    assert prediction.kind == FailureKind.HEALTH_DOWN
    assert prediction.probability > 0.5
    assert "without them the probability would be" in prediction.reasons[0]
    assert 0 < prediction.confidence < 1


def test_nineteen_failures_leave_the_rules() -> None:
    for number in range(19):
        ObservedFailure.objects.create(
            service="planner", kind=FailureKind.SLO_BREACH, subject="availability",
            at=NOW - timedelta(hours=2 + number),
        )  # fmt: skip
    models_fit(now=NOW)
    model = PredictionModel.objects.get(kind=FailureKind.SLO_BREACH)
    assert not model.used
    assert model.reason == "The rules stay: a model needs 20 failures to learn from, has 19."


def test_what_is_past_its_time_is_dropped() -> None:
    sign("retries", 60 * 24 * 91)
    sign("retries", 60 * 24 * 89)
    retention_apply(now=NOW)
    assert Sign.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM analytics_observedfailure")
        assert cursor.fetchone()[0] == 0
