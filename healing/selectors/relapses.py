"""Heals that did not hold: what failed again of what a run had healed, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from alerting.models import Alert
from analytics.models import ErrorPattern, ObservedFailure
from breakers.choices import BreakerState
from breakers.models import Breaker, BreakerTransition
from healing.choices import RunState, TriggerKind
from healing.models import HealingRun
from healing.selectors.standing.patterns import SPIKING
from health.choices import ResultStatus
from health.models import CheckStatus, Outage

# A heal that holds less long counts as failed.
HOLDS: Final = timedelta(minutes=30)
# What is no failure of the target itself, or no failure to anybody.
_EXCUSED: Final = ("unreachable", "maintenance")


def heals_watched(since: datetime, now: datetime) -> list[HealingRun]:
    """Heals that had not held for long enough at `since`."""
    rows = HealingRun.objects.filter(
        state=RunState.SUCCEEDED,
        dry_run=False,
        failed_again_at=None,
        ended_at__gt=since - HOLDS,
        ended_at__lte=now,
    )
    return list(rows.order_by("ended_at", "id"))


def failed_again(run: HealingRun) -> datetime | None:
    """When what a run healed failed again within half an hour, None where it has held so far."""
    ended: datetime = run.ended_at  # type: ignore[assignment]
    until = ended + HOLDS
    if run.check_id is not None:
        return _check(run, run.check_id, ended, until)
    asks = _ASKS.get(run.trigger_kind)
    return asks(run, ended, until) if asks else None


def _check(run: HealingRun, check_id: UUID, ended: datetime, until: datetime) -> datetime | None:
    # What fails right after the last pass may fail before the run's end is written.
    since = run.verify_since or ended
    rows = Outage.objects.filter(check_row=check_id).exclude(held_by__in=_EXCUSED)
    new = rows.filter(started_at__gt=since, started_at__lte=until).order_by("started_at").first()
    if new is not None:
        return new.started_at
    if not rows.filter(started_at__lte=since, ended_at=None).exists():
        return None
    # Too few passes to end the outage were enough to verify the heal, and then it went on.
    status = CheckStatus.objects.filter(
        pk=check_id, last_status=ResultStatus.DOWN, last_conclusive_at__gt=ended
    ).first()
    return status.last_conclusive_at if status is not None else None


def _breaker(run: HealingRun, ended: datetime, until: datetime) -> datetime | None:
    place = Breaker.objects.filter(key=run.trigger_key).values("service", "name").first()
    if place is None:
        return None
    rows = BreakerTransition.objects.filter(
        to_state=BreakerState.OPEN, at__gt=ended, at__lte=until, **place
    )
    return rows.order_by("at").values_list("at", flat=True).first()


def _pattern(run: HealingRun, ended: datetime, until: datetime) -> datetime | None:
    try:
        pattern = ErrorPattern.objects.filter(pk=UUID(run.trigger_key), state__in=SPIKING).first()
    except ValueError:
        # After a heal, what is answered to may be the heal itself.
        return None
    if pattern is None:
        return None
    times = (pattern.state_changed_at, pattern.last_seen)
    return min((each for each in times if each and ended < each <= until), default=None)


def _prediction(run: HealingRun, ended: datetime, until: datetime) -> datetime | None:
    service, _, kind = run.trigger_key.rpartition(":")
    rows = ObservedFailure.objects.filter(service=service, kind=kind, at__gt=ended, at__lte=until)
    return rows.order_by("at").values_list("at", flat=True).first()


def _alert(run: HealingRun, ended: datetime, until: datetime) -> datetime | None:
    rows = Alert.objects.filter(
        fingerprint=run.trigger_key, started_at__gt=ended, started_at__lte=until
    )
    return rows.order_by("started_at").values_list("started_at", flat=True).first()


_ASKS: Final[Mapping[str, Callable[[HealingRun, datetime, datetime], datetime | None]]] = {
    TriggerKind.BREAKER_OPEN: _breaker,
    TriggerKind.PATTERN_SPIKING: _pattern,
    TriggerKind.HEALED: _pattern,
    TriggerKind.PREDICTION: _prediction,
    TriggerKind.ALERT: _alert,
}
