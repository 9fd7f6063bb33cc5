"""Predictions: what is foretold and why, how good it proved to be, and what predicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics.choices import FailureKind, PredictionMethod, PredictionOutcome
from analytics.models import Prediction
from analytics.selectors import predictions as selectors
from analytics.views.common import PAGE_ROWS, bad_question, is_partial
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Problem

# With fewer settled predictions, or failures, a share of them says nothing.
FEWEST = 5


@dataclass(frozen=True)
class Told:
    """A prediction as shown: its probability in percent, and how far to trust that, in a word."""

    prediction: Prediction
    percent: int
    trust: str


@require_GET
@require_role(Role.VIEWER)
def prediction_list(request: HttpRequest) -> HttpResponse:
    """What is foretold now, the track record of the last weeks, and earlier predictions."""
    now = datetime.now(UTC)
    cursor = journal.latest_cursor()
    kind, outcome = request.GET.get("kind", ""), request.GET.get("outcome", "")
    try:
        page = selectors.prediction_list(
            service=request.GET.get("service", ""),
            kind=kind,
            outcome=outcome,
            limit=PAGE_ROWS,
            cursor=request.GET.get("cursor"),
        )
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": cursor,
        "on": config.predictive_failure_detection and config.error_analytics_enabled,
        "pending": [_told(each) for each in selectors.predictions_pending()],
        "records": selectors.track_record(now=now),
        "record_seconds": selectors.TRACK_RANGE.total_seconds(),
        "fewest": FEWEST,
        "rows": [_told(each) for each in page.items],
        "next_cursor": page.next_cursor,
        "filtered": any(request.GET.get(name) for name in ("service", "kind", "outcome")),
        "kinds": FailureKind.choices,
        "outcomes": PredictionOutcome.choices,
        "model": PredictionMethod.MODEL,
    }
    part = "_predictions" if is_partial(request) else "predictions"
    return render(request, f"analytics/{part}.html", context)


def _told(prediction: Prediction) -> Told:
    return Told(prediction, round(100 * prediction.probability), _trust(prediction.confidence))


def _trust(confidence: float) -> str:
    """By how many settled predictions it rests on: a fifth is 5 of them, a half 20."""
    if confidence >= 0.5:
        return "well tried"
    return "tried a few times" if confidence >= 0.2 else "hardly tried yet"
