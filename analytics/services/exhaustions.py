"""When disks, pools, error budgets and certificates will be used up, worked out once an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from django.db import connection, transaction
from django.db.models import Max

from analytics.choices import ExhaustionKind
from analytics.domain.forecasts.forecasting import NotEnough
from analytics.domain.forecasts.grid import Floats, Grid
from analytics.domain.trends.passage import Passage, passage_of
from analytics.models import Exhaustion
from analytics.selectors.resources import Level, Resource, resource_levels, resources_of
from analytics.selectors.series import active_services, series_read
from analytics.selectors.slos import availability_slos
from analytics.selectors.sources import HOUR
from analytics.services.forecasts import MOST_SERVICES
from health.models import CheckStatus
from health.selectors.availability import target
from resilience_site.config import config
from resilience_site.core.timerange import TimeRange

# Of services without an objective.
BUDGET_DAYS: Final = 30
_HORIZONS: Final = {
    ExhaustionKind.DISK: timedelta(days=7),
    ExhaustionKind.POOL: timedelta(hours=24),
    ExhaustionKind.BUDGET: timedelta(days=7),
    ExhaustionKind.CERTIFICATE: timedelta(days=30),
}
_HISTORY: Final = timedelta(days=28)
_SILENT: Final = timedelta(days=1)
# Made anew a little sooner than the hour, as the turns that make them come with some jitter.
_FRESH: Final = timedelta(minutes=55)
_LOCK: Final = 0x65786861757374


def exhaustions_make(*, now: datetime) -> int:
    """Work out what will be used up, unless that was done within the hour; how many there are.

    What has too few figures has no row; rows of what is gone are dropped.
    """
    if not (config.error_trend_analysis and config.error_analytics_enabled):
        return 0
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return 0
        newest = Exhaustion.objects.aggregate(newest=Max("made_at"))["newest"]
        if newest is not None and now - _FRESH < newest <= now:
            return 0
        rows = [*_resources(now), *_budgets(now), *_certificates(now)]
        Exhaustion.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["service", "kind", "subject"],
            update_fields=[
                "made_at", "level", "limit", "unit", "expected_at", "earliest_at", "probability",
                "horizon_seconds",
            ],
        )  # fmt: skip
        Exhaustion.objects.exclude(made_at=now).delete()
    return len(rows)


# --- Disks and pools -----------------------------------------------------------------------------


def _resources(now: datetime) -> Iterator[Exhaustion]:
    end = now.replace(minute=0, second=0, microsecond=0)
    within = TimeRange(end - _HISTORY, end)
    resources = [each for each in resources_of(seen_since=(now - _SILENT).date()) if each.kind]
    for resource, levels in zip(resources, resource_levels(resources, within, HOUR), strict=True):
        if levels:
            found = _exhausted(resource, levels, within, now)
            if found is not None:
                yield found


def _exhausted(
    resource: Resource, levels: list[Level], within: TimeRange, now: datetime
) -> Exhaustion | None:
    shares = np.full(int(within.length / HOUR), np.nan)
    for level in levels:
        shares[int((level.at - within.since) / HOUR)] = level.share
    kind = ExhaustionKind(resource.kind)
    limit = levels[-1].limit
    found = _passage(shares, kind)
    return None if found is None else _row(
        resource.service, kind, resource.subject, now, found, scale=limit, unit=resource.unit
    )  # fmt: skip


# --- Error budgets -------------------------------------------------------------------------------


def _budgets(now: datetime) -> Iterator[Exhaustion]:
    end = now.replace(minute=0, second=0, microsecond=0)
    history = int(_HISTORY / HOUR)
    active = active_services(TimeRange(now - timedelta(days=2), now))[:MOST_SERVICES]
    slos = availability_slos(active)
    for service in active:
        slo = slos.get(service)
        # By the calls of the service, whatever its objective is measured by.
        days, aim = (slo.window_days, slo.objective) if slo else (BUDGET_DAYS, target())
        within = TimeRange(end - timedelta(days=days) - _HISTORY, end)
        rates = series_read("error_rate", within, now=now, service=service, step=HOUR)
        calls = np.array([point.count for point in rates.points], dtype=np.float64)
        errors = calls * np.array([point.value or 0.0 for point in rates.points])
        window = int(timedelta(days=days) / HOUR)
        spent = _spent(calls, errors, window, 1 - aim)[-history:]
        found = _passage(spent, ExhaustionKind.BUDGET)
        if found is not None:
            subject = f"{days} d availability"
            yield _row(service, ExhaustionKind.BUDGET, subject, now, found, scale=1.0, unit="1")


def _spent(calls: Floats, errors: Floats, window: int, allowed: float) -> Floats:
    """The share of the window's error budget spent at the end of each hour; NaN without calls."""
    summed_calls, summed_errors = np.cumsum(calls), np.cumsum(errors)
    summed_calls[window:] -= summed_calls[:-window].copy()
    summed_errors[window:] -= summed_errors[:-window].copy()
    spent = np.full(len(calls), np.nan)
    any_calls = summed_calls > 0
    spent[any_calls] = summed_errors[any_calls] / (summed_calls[any_calls] * allowed)
    return spent


# --- Certificates --------------------------------------------------------------------------------


def _certificates(now: datetime) -> Iterator[Exhaustion]:
    """By the last run of each health check that saw a certificate."""
    rows = CheckStatus.objects.filter(
        check_row__enabled=True, last_observed__has_key="days_left", last_run_at__isnull=False
    ).select_related("check_row__service")
    horizon = _HORIZONS[ExhaustionKind.CERTIFICATE]
    for status in rows.order_by("check_row_id"):
        if status.last_run_at is None:
            continue
        days = float(status.last_observed["days_left"]["value"])
        expires = status.last_run_at.astimezone(UTC) + timedelta(days=days)
        left = (expires - now) / timedelta(days=1)
        near = expires <= now + horizon
        yield Exhaustion(
            service=status.check_row.service.name, kind=ExhaustionKind.CERTIFICATE,
            subject=status.check_row.name, made_at=now, level=left, limit=0.0, unit="d",
            expected_at=expires, earliest_at=expires, probability=1.0 if near else 0.0,
            horizon_seconds=int(horizon.total_seconds()),
        )  # fmt: skip


# --- Rows ----------------------------------------------------------------------------------------


def _passage(shares: Floats, kind: ExhaustionKind) -> Passage | None:
    found = passage_of(Grid(3600.0, 0.0, shares), 1.0, int(_HORIZONS[kind] / HOUR))
    return None if isinstance(found, NotEnough) else found


def _row(
    service: str,
    kind: ExhaustionKind,
    subject: str,
    now: datetime,
    found: Passage,
    *,
    scale: float,
    unit: str,
) -> Exhaustion:
    def moment(steps: int | None) -> datetime | None:
        return None if steps is None else now + steps * HOUR

    return Exhaustion(
        service=service, kind=kind, subject=subject, made_at=now, level=found.level * scale,
        limit=scale, unit=unit, expected_at=moment(found.expected),
        earliest_at=moment(found.earliest), probability=found.probability,
        horizon_seconds=int(_HORIZONS[kind].total_seconds()),
    )  # fmt: skip
