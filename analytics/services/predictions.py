"""Foretelling failures of services, and settling what was foretold.

The journal's topic predictions (key and service: the service) tells of both, for alerts and for
healing. `prediction_made` (state: the kind of failure) carries `id, service, kind, probability,
confidence, horizon_seconds, made_at, due_at, method, reasons` (sentences). `prediction_settled`
(state: hit or miss) carries the same with `outcome, settled_at, failed_at` and `lead_seconds`.
Times are RFC 3339.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import numpy as np
from django.db import connection, transaction

from analytics.choices import FailureKind, PredictionMethod, PredictionOutcome
from analytics.domain.foresight import rules
from analytics.domain.foresight.comparison import histories_counted
from analytics.domain.foresight.explanation import reasons_of
from analytics.domain.foresight.model import Model
from analytics.domain.foresight.rules import Seen
from analytics.domain.foresight.signs import FAMILIES
from analytics.models import ObservedFailure, Prediction, PredictionModel, Sign
from analytics.selectors.predictions import track
from analytics.selectors.series import known_longest
from health.selectors import service_list
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

SPACE: Final = UUID("5b3c2f0e-6f0e-4e0a-9d8e-2c6a3f8b7d11")
_LOCK: Final = 0x707265646963
_HORIZON: Final = timedelta(seconds=rules.HORIZON)
_DAY: Final = timedelta(days=1)
_TRACK: Final = timedelta(weeks=4)
# A failure is known only once it is confirmed, and its minute is read.
_GRACE: Final = timedelta(minutes=5)
# Signs of the minute before, which were counted while it ran.
_FRESH: Final = timedelta(minutes=2)
_MOST_SERVICES: Final = 500

_SEEN: Final = """
SELECT service, split_part(kind, ':', 1),
    sum(count) FILTER (WHERE minute >= %(now)s - interval '5 min'),
    sum(count) FILTER (WHERE minute >= %(now)s - interval '15 min'), sum(count)
FROM analytics_sign
WHERE minute >= %(now)s - interval '24 hours' AND minute < %(now)s AND service = ANY(%(services)s)
GROUP BY 1, 2
"""


@dataclass(frozen=True)
class Foretold:
    """What a method says of a service: how likely, how far that is to be trusted, and why."""

    service: str
    kind: str
    probability: float
    confidence: float
    method: PredictionMethod
    reasons: list[str]


def predictions_make(*, now: datetime) -> int:
    """Foretell what the last minutes' signs say of the services that had any; how many it were.

    A service has one pending prediction of a kind at most, and none while it has just failed so.
    """
    if not (config.predictive_failure_detection and config.error_analytics_enabled):
        return 0
    with transaction.atomic():
        if not _alone():
            return 0
        services = _active(now)
        if not services:
            return 0
        busy = _busy(services, now)
        found = [
            each
            for kind in FailureKind
            for each in _foretold(
                kind, [name for name in services if (name, kind.value) not in busy], now
            )
        ]
        made = Prediction.objects.bulk_create(
            [_prediction(each, now) for each in found], ignore_conflicts=True
        )
        journal.append([_entry("prediction_made", each, each.kind) for each in made])
    return len(made)


def predictions_settle(*, now: datetime) -> int:
    """Say of pending predictions what came of them, as soon as it is known; how many."""
    with transaction.atomic():
        if not _alone():
            return 0
        pending = list(Prediction.objects.filter(outcome=PredictionOutcome.PENDING))
        settled = [each for each in pending if _settled(each, now)]
        Prediction.objects.bulk_update(
            settled, ["outcome", "settled_at", "failed_at", "lead_seconds"]
        )
        journal.append([_entry("prediction_settled", each, each.outcome) for each in settled])
    return len(settled)


def _settled(prediction: Prediction, now: datetime) -> bool:
    failure = (
        ObservedFailure.objects.filter(
            service=prediction.service,
            kind=prediction.kind,
            at__gt=prediction.made_at,
            at__lte=prediction.due_at,
        )
        .order_by("at")
        .first()
    )
    if failure is not None:
        prediction.outcome = PredictionOutcome.HIT
        prediction.failed_at = failure.at
        prediction.lead_seconds = round((failure.at - prediction.made_at).total_seconds())
    elif now >= prediction.due_at + _GRACE:
        prediction.outcome = PredictionOutcome.MISS
    else:
        return False
    prediction.settled_at = now
    return True


# --- What is foretold ----------------------------------------------------------------------------


def _foretold(kind: FailureKind, services: list[str], now: datetime) -> list[Foretold]:
    model = PredictionModel.objects.filter(kind=kind).order_by("-trained_at").first()
    if model is not None and model.used:
        return _by_model(kind, Model.from_json(model.parameters), services, now)
    return _by_rules(kind, services, now)


def _by_rules(kind: FailureKind, services: list[str], now: datetime) -> list[Foretold]:
    rule = rules.rule_of(kind)
    settled = track(kind, PredictionMethod.RULES, since=now - _TRACK)
    found = []
    for service, seen in _seen(services, now).items():
        if rules.says(rule, seen, 1)[-1]:
            found.append(
                Foretold(
                    service,
                    kind,
                    rules.probability(settled.hits, settled.settled),
                    rules.confidence(settled.settled),
                    PredictionMethod.RULES,
                    rules.reasons(rule, seen),
                )
            )
    return found


def _seen(services: list[str], now: datetime) -> dict[str, dict[str, Seen]]:
    """Counts of each family, as the rules want them. The usual ones of a service that is younger
    than a day are those of its own time."""
    found: dict[str, dict[str, Seen]] = {}
    known = dict(service_list().filter(name__in=services).values_list("name", "first_seen"))
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, {"now": _minute(now), "services": services})
        for service, family, five, fifteen, day in cursor.fetchall():
            if family not in FAMILIES:
                continue
            window = FAMILIES[family].window
            recent = float((five if window == 300 else fifteen) or 0)
            age = now - known.get(service, now - 2 * _DAY)
            over = min(rules.USUAL_WINDOW, max(0.0, age.total_seconds() - window))
            usual = (float(day) - recent) * window / max(over, window)
            found.setdefault(service, {})[family] = Seen(
                np.array([recent]), np.array([usual]), over
            )
    return found


def _by_model(
    kind: FailureKind, model: Model, services: list[str], now: datetime
) -> list[Foretold]:
    # As far back as columns reach, but for the usual rates: those are of the same length for all.
    since = now - 20 * _HORIZON
    rows = Sign.objects.filter(minute__gte=since, minute__lt=_minute(now), service__in=services)
    failures = ObservedFailure.objects.filter(kind=kind, service__in=services, at__lt=now)
    histories, _ = histories_counted(
        (
            (service, _over(minute), sign, count)
            for service, minute, sign, count in rows.values_list(
                "service", "minute", "kind", "count"
            )
        ),
        ((service, at.timestamp()) for service, at in failures.values_list("service", "at")),
        types=model.plan.types,
    )
    moment = np.array([_minute(now).timestamp()])
    found = []
    for service, history in histories.entities.items():
        chance = float(model.chances(history, moment)[0])
        if chance >= model.threshold:
            found.append(
                Foretold(
                    service,
                    kind,
                    chance,
                    rules.confidence(model.held_back.alarms),
                    PredictionMethod.MODEL,
                    reasons_of(model, history, moment),
                )
            )
    return found


# --- Rows ----------------------------------------------------------------------------------------


def _active(now: datetime) -> list[str]:
    """Services with signs in the last minutes that are over."""
    rows = Sign.objects.filter(minute__gte=_minute(now) - _FRESH, minute__lt=_minute(now))
    names = list(rows.values_list("service", flat=True).distinct().order_by("service"))
    return known_longest(names, _MOST_SERVICES) if len(names) > _MOST_SERVICES else names


def _busy(services: list[str], now: datetime) -> set[tuple[str, str]]:
    """Services with the kinds of failure that are foretold already, or have just come."""
    pending = Prediction.objects.filter(outcome=PredictionOutcome.PENDING, service__in=services)
    failed = ObservedFailure.objects.filter(at__gt=now - _HORIZON, service__in=services)
    pairs: Iterable[tuple[str, str]] = (
        *pending.values_list("service", "kind"),
        *failed.values_list("service", "kind"),
    )
    return set(pairs)


def _prediction(foretold: Foretold, now: datetime) -> Prediction:
    minute = _minute(now)
    return Prediction(
        id=uuid5(SPACE, f"{foretold.service}\0{foretold.kind}\0{minute.isoformat()}"),
        service=foretold.service,
        kind=foretold.kind,
        probability=foretold.probability,
        confidence=foretold.confidence,
        horizon_seconds=int(_HORIZON.total_seconds()),
        made_at=now,
        due_at=now + _HORIZON,
        reasons=foretold.reasons,
        method=foretold.method,
    )


def _entry(what: str, prediction: Prediction, state: str) -> Entry:
    payload: dict[str, Any] = {
        "id": str(prediction.id),
        "service": prediction.service,
        "kind": str(prediction.kind),
        "probability": prediction.probability,
        "confidence": prediction.confidence,
        "horizon_seconds": prediction.horizon_seconds,
        "made_at": prediction.made_at.isoformat(),
        "due_at": prediction.due_at.isoformat(),
        "method": str(prediction.method),
        "reasons": prediction.reasons,
    }
    if prediction.settled_at is not None:
        failed = prediction.failed_at
        payload |= {
            "outcome": str(prediction.outcome),
            "settled_at": prediction.settled_at.isoformat(),
            "failed_at": failed.isoformat() if failed else None,
            "lead_seconds": prediction.lead_seconds,
        }
    return Entry(
        Topic.PREDICTIONS, what, prediction.service, str(state), prediction.service, payload
    )


def _alone() -> bool:
    """Whether no other worker makes or settles predictions until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _over(minute: datetime) -> float:
    """When a minute's signs were all known: at its end."""
    return minute.timestamp() + 60
