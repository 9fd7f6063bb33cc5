"""Reads of recorded outcomes: the last ones of a breaker, and all of an instance over a range."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from breakers.models import OutcomeBatch
from breakers.runtime.batches import Batch
from breakers.runtime.collaborators import FAILURE, IGNORED, SUCCESS
from breakers.runtime.outcomes import entry_count, unpack
from resilience_site.core.timerange import TimeRange

log = logging.getLogger(__name__)

LAST_SHOWN: Final = 20
# Each instance sends a batch a second at most; older ones hold what is older still.
_LAST_BATCHES: Final = 12
# A breaker that rejects sends batches without calls: this many are looked through for the calls
# before, which are those that opened it.
_MOST_BATCHES: Final = 4_000
# How far back the last outcomes are looked for.
REACH: Final = timedelta(hours=1)
# A batch is sent within seconds of its end, and holds seconds.
WARM_UP: Final = timedelta(minutes=5)
_NAMES: Final = {SUCCESS: "succeeded", FAILURE: "failed", IGNORED: "ignored"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one call ended: succeeded, failed or ignored; `seconds` is what it took."""

    at: datetime
    outcome: str
    seconds: float
    instance: str


def outcomes_last(service: str, name: str, now: datetime, limit: int = LAST_SHOWN) -> list[Outcome]:
    """The last calls of a breaker over all its instances, newest first."""
    rows = OutcomeBatch.objects.filter(
        service=service, name=name, at__gt=now - REACH, at__lte=now + WARM_UP
    )
    found: list[Outcome] = []
    newest = rows.order_by("-at")[:_MOST_BATCHES]
    for place, row in enumerate(newest.iterator(chunk_size=200)):
        if len(found) >= limit and place >= _LAST_BATCHES:
            break
        batch = _read(row) if _holds_entries(row) else None
        if batch is not None:
            found += _last(batch, row.instance, limit)
    return sorted(found, key=lambda each: each.at, reverse=True)[:limit]


def _last(batch: Batch, instance: str, limit: int) -> Iterator[Outcome]:
    columns, left = batch.columns, limit
    for place in range(len(columns) - 1, -1, -1):
        outcome = _NAMES.get(columns.kinds[place])
        if outcome is None:
            continue
        yield Outcome(batch.at(columns.times[place]), outcome, columns.durations[place], instance)
        left -= 1
        if not left:
            return


def outcome_instances(service: str, name: str, within: TimeRange) -> list[str]:
    """The instances of which there are outcomes in a range."""
    rows = OutcomeBatch.objects.filter(
        service=service, name=name, at__gte=within.since, at__lt=within.until + WARM_UP
    )
    return sorted(set(rows.order_by().values_list("instance", flat=True).distinct()))


def outcome_batches(service: str, name: str, instance: str, within: TimeRange) -> Iterator[Batch]:
    """What was recorded in one instance over a range, with a batch before it to begin from.

    Batches lie where they end. Those that cannot be read are left out, and the log says so; the
    replay then tells of a gap.
    """
    rows = OutcomeBatch.objects.filter(service=service, name=name, instance=instance)
    before = (
        rows.filter(at__gte=within.since - WARM_UP, at__lt=within.since).order_by("-at").first()
    )
    if before is not None and (batch := _read(before)) is not None:
        yield batch
    inside = rows.filter(at__gte=within.since, at__lt=within.until + WARM_UP).order_by("at", "id")
    for row in inside.iterator(chunk_size=500):
        batch = _read(row)
        if batch is not None and batch.since < within.until:
            yield batch


def _holds_entries(row: OutcomeBatch) -> bool:
    try:
        return entry_count(bytes(row.data)) > 0
    except ValueError:
        return True  # `_read` tells what is wrong with it


def _read(row: OutcomeBatch) -> Batch | None:
    try:
        return unpack(bytes(row.data))
    except ValueError as error:
        log.warning("batch %s of %s %s cannot be read: %s", row.id, row.service, row.name, error)
        return None
