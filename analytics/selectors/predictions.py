"""Reads of predictions: what is foretold, and how good what was foretold proved to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Avg, Count, Q

from analytics.choices import FailureKind, PredictionMethod, PredictionOutcome
from analytics.models import ObservedFailure, Prediction, PredictionModel
from health.selectors import service_list
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page
from resilience_site.core.timerange import TimeRange

TRACK_RANGE: Final = timedelta(weeks=4)
FEWEST_FAILURES: Final = 20
_SETTLED: Final = (PredictionOutcome.HIT, PredictionOutcome.MISS)


@dataclass(frozen=True)
class Track:
    """How settled predictions did: of how many came true, and how long before."""

    hits: int
    settled: int
    lead_seconds: float | None

    @property
    def misses(self) -> int:
        return self.settled - self.hits

    @property
    def precision(self) -> float | None:
        return self.hits / self.settled if self.settled else None


@dataclass(frozen=True)
class KindRecord:
    """One kind of failure: what predicts it and why, how its predictions did by method, how many
    of its failures were foreseen, and false alarms per service and day (None without a service
    that was watched)."""

    kind: FailureKind
    method: PredictionMethod
    reason: str
    fitted_at: datetime | None
    rules: Track
    model: Track
    failures: int
    foreseen: int
    service_days: float
    failures_known: int

    @property
    def recall(self) -> float | None:
        return self.foreseen / self.failures if self.failures else None

    @property
    def both(self) -> Track:
        """Of both methods together."""
        parts = [each for each in (self.rules, self.model) if each.lead_seconds is not None]
        hits = sum(each.hits for each in parts)
        lead = (
            sum(each.hits * (each.lead_seconds or 0.0) for each in parts) / hits if hits else None
        )
        return Track(
            self.rules.hits + self.model.hits, self.rules.settled + self.model.settled, lead
        )

    @property
    def false_per_day(self) -> float | None:
        misses = self.rules.misses + self.model.misses
        return misses / self.service_days if self.service_days else None


def prediction_list(
    *,
    within: TimeRange | None = None,
    service: str = "",
    kind: str = "",
    outcome: str = "",
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page:
    """Predictions made in a range (at any time where None), newest first; empty filters do not
    narrow. Raises `Malformed` for a foreign cursor."""
    rows = Prediction.objects.all()
    if within is not None:
        rows = rows.filter(made_at__gte=within.since, made_at__lt=within.until)
    exact = {"service": service, "kind": kind, "outcome": outcome}
    rows = rows.filter(**{field: value for field, value in exact.items() if value})
    return keyset_page(
        rows, by=("-made_at", "-id"), types=(datetime, UUID), cursor=cursor, limit=limit
    )


def predictions_pending(limit: int = 200) -> list[Prediction]:
    """What is foretold now, the likeliest first."""
    rows = Prediction.objects.filter(outcome=PredictionOutcome.PENDING)
    return list(rows.order_by("-probability", "due_at", "id")[:limit])


def track(kind: str, method: str, *, since: datetime) -> Track:
    """How the settled predictions of a kind and method did."""
    return _tracks(since).get((kind, method), Track(0, 0, None))


def track_record(*, now: datetime, length: timedelta = TRACK_RANGE) -> list[KindRecord]:
    """Of each kind of failure, over the last weeks."""
    since = now - length
    tracks = _tracks(since)
    observed = {
        row["kind"]: row
        for row in ObservedFailure.objects.values("kind").annotate(
            known=Count("id"),
            recent=Count("id", filter=Q(at__gte=since)),
            seen=Count("id", filter=Q(at__gte=since, foreseen=True)),
        )
    }
    newest = (
        PredictionModel.objects.order_by("kind", "-trained_at").distinct("kind").defer("parameters")
    )
    models = {model.kind: model for model in newest}
    days = _service_days(since, now)
    records = []
    for kind in FailureKind:
        model = models.get(kind)
        row = observed.get(kind, {"known": 0, "recent": 0, "seen": 0})
        used = model is not None and model.used
        records.append(
            KindRecord(
                kind=kind,
                method=PredictionMethod.MODEL if used else PredictionMethod.RULES,
                reason=_why(model, row["known"]),
                fitted_at=model.trained_at if model else None,
                rules=tracks.get((kind, PredictionMethod.RULES), Track(0, 0, None)),
                model=tracks.get((kind, PredictionMethod.MODEL), Track(0, 0, None)),
                failures=row["recent"],
                foreseen=row["seen"],
                service_days=days,
                failures_known=row["known"],
            )
        )
    return records


def _why(model: PredictionModel | None, known: int) -> str:
    """What the last fitting found; failures that came after it are counted where it had too few."""
    if model is not None and model.failures >= FEWEST_FAILURES:
        return model.reason
    if known < FEWEST_FAILURES:
        return (
            f"The rules stay: a model needs {FEWEST_FAILURES} failures to learn from, has {known}."
        )
    return f"The rules stay until the next daily fitting: {known} failures are known by now."


def _tracks(since: datetime) -> dict[tuple[str, str], Track]:
    rows = (
        Prediction.objects.filter(made_at__gte=since, outcome__in=_SETTLED)
        .values("kind", "method")
        .annotate(
            settled=Count("id"),
            hits=Count("id", filter=Q(outcome=PredictionOutcome.HIT)),
            lead=Avg("lead_seconds"),
        )
    )
    return {
        (row["kind"], row["method"]): Track(
            row["hits"], row["settled"], None if row["lead"] is None else float(row["lead"])
        )
        for row in rows
    }


def _service_days(since: datetime, now: datetime) -> float:
    """How long the services that were heard of were watched, in days together."""
    known = service_list().filter(last_seen__gte=since).values_list("first_seen", flat=True)
    return sum(max(0.0, (now - max(first, since)).total_seconds()) for first in known) / 86_400
