"""Weeks of predictions and failures, as the page of predictions shows them."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid5

from analytics.choices import FailureKind, PredictionMethod, PredictionOutcome
from analytics.models import ObservedFailure, Prediction, PredictionModel
from analytics.services.predictions import SPACE
from health.models import Service

REASONS = [
    "30 retries in the last 5 min; usually 0.4 in 5 min, over the 24 h before",
    "12 stored errors in the last 5 min; usually 0 in 5 min, over the 24 h before",
]
HOUR = timedelta(hours=1)


def prediction(
    service: str,
    kind: FailureKind,
    made_at: datetime,
    *,
    outcome: PredictionOutcome = PredictionOutcome.PENDING,
    method: PredictionMethod = PredictionMethod.RULES,
    probability: float = 0.6,
    confidence: float = 0.1,
) -> Prediction:
    hit = outcome == PredictionOutcome.HIT
    lead = 600 if hit else None
    return Prediction.objects.create(
        id=uuid5(SPACE, f"{service}{kind}{made_at}"),
        service=service,
        kind=kind,
        probability=probability,
        confidence=confidence,
        horizon_seconds=1800,
        made_at=made_at,
        due_at=made_at + timedelta(minutes=30),
        reasons=REASONS,
        method=method,
        outcome=outcome,
        settled_at=made_at + HOUR if outcome != PredictionOutcome.PENDING else None,
        failed_at=made_at + timedelta(minutes=10) if hit else None,
        lead_seconds=lead,
    )


def weeks(now: datetime) -> None:
    """Two failures foretold now, a month of breakers that opened, most of them foreseen."""
    for name in ("planner-mcp-server", "mail"):
        Service.objects.get_or_create(
            name=name, defaults={"first_seen": now - timedelta(days=20), "last_seen": now}
        )
    prediction("planner-mcp-server", FailureKind.BREAKER_OPEN, now - timedelta(minutes=4))
    prediction(
        "mail", FailureKind.SLO_BREACH, now - timedelta(minutes=12),
        method=PredictionMethod.MODEL, probability=0.87, confidence=0.6,
    )  # fmt: skip
    for number in range(1, 25):
        at = now - number * 25 * HOUR
        hit = number % 4 != 0
        prediction(
            "planner-mcp-server", FailureKind.BREAKER_OPEN, at,
            outcome=PredictionOutcome.HIT if hit else PredictionOutcome.MISS,
        )  # fmt: skip
        ObservedFailure.objects.create(
            service="planner-mcp-server", kind=FailureKind.BREAKER_OPEN, subject="graph",
            at=at + timedelta(minutes=10 if hit else 500), foreseen=hit,
        )  # fmt: skip
    PredictionModel.objects.create(
        kind=FailureKind.SLO_BREACH, trained_at=now - 3 * HOUR, failures=31,
        history_from=now - 2000 * HOUR, history_until=now - 3 * HOUR, parameters={}, used=True,
        scores={},
        reason="The model is better: F1 0.81 and 0.02 false alarms per service and day against "
        "0.44 and 0.10 of the rules, on 9 failures held back; learnt from 22 before them.",
    )  # fmt: skip
