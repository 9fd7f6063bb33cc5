"""Learning from a site's own history: once a day, for each kind of failure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
from django.db import connection, transaction

from analytics.choices import FailureKind
from analytics.domain.foresight.comparison import Comparison, compare, histories_counted
from analytics.domain.foresight.trees import GROWTH, Growth
from analytics.models import ObservedFailure, PredictionModel, Sign
from analytics.services.signs import HISTORY
from resilience_site.config import config

_LOCK: Final = 0x666974
_MOST_SIGNS: Final = 200_000


def models_fit(*, now: datetime, growth: Growth = GROWTH) -> list[PredictionModel]:
    """Fit and compare for each kind; what was found, each with its reason. A second run on the
    same day finds the same and writes nothing."""
    if not (config.predictive_failure_detection and config.error_analytics_enabled):
        return []
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return []
        return [found for kind in FailureKind if (found := _fit(kind, now, growth)) is not None]


def _fit(kind: FailureKind, now: datetime, growth: Growth) -> PredictionModel | None:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if PredictionModel.objects.filter(kind=kind, trained_at__gte=today).exists():
        return None
    failures = list(
        ObservedFailure.objects.filter(kind=kind, at__gte=now - HISTORY, at__lt=now).values_list(
            "service", "at"
        )
    )
    signs = list(
        Sign.objects.filter(minute__gte=now - HISTORY, minute__lt=now)
        .order_by("-minute")
        .values_list("service", "minute", "kind", "count")[:_MOST_SIGNS]
    )
    since = signs[-1][1] if len(signs) == _MOST_SIGNS else now - HISTORY
    histories, counted = histories_counted(
        ((service, minute.timestamp() + 60, sign, count) for service, minute, sign, count in signs),
        ((service, at.timestamp()) for service, at in failures if at >= since),
    )
    found = compare(kind, histories, counted, np.random.default_rng(int(today.timestamp())), growth)
    return PredictionModel.objects.create(
        kind=kind,
        trained_at=now,
        failures=histories.failures,
        history_from=since,
        history_until=now,
        parameters=_parameters(found),
        scores={name: score.as_json() for name, score in found.scores.items()},
        used=found.used,
        reason=found.reason,
    )


def _parameters(found: Comparison) -> dict[str, object]:
    return found.model.as_json() if found.used and found.model is not None else {}
