"""Failures that are foreseen."""

from __future__ import annotations

from datetime import datetime

from analytics.choices import PredictionOutcome
from analytics.models import Prediction
from healing.choices import TriggerKind
from healing.domain.matching import Failing


def failures_foreseen(now: datetime) -> list[Failing]:
    """Predictions that may still come true."""
    rows = Prediction.objects.filter(outcome=PredictionOutcome.PENDING, due_at__gt=now)
    return [_failing(each) for each in rows.order_by("made_at", "id")]


def _failing(row: Prediction) -> Failing:
    what = row.get_kind_display()
    return Failing(
        kind=TriggerKind.PREDICTION,
        key=f"{row.service}:{row.kind}",
        service=row.service,
        names=(row.kind,),
        since=row.made_at,
        seen_at=row.made_at,
        text=f"Foreseen for {row.service}: {what} ({row.probability:.0%})",
        link="/predictions",
        output="; ".join(map(str, row.reasons)),
        probability=row.probability,
        evidence={
            "prediction": str(row.id),
            "kind": row.kind,
            "probability": row.probability,
            "confidence": row.confidence,
            "due_at": row.due_at.isoformat(),
            "reasons": row.reasons,
        },
    )
