"""What was known of a figure at the end of a minute.

Who judges a minute does so `JUDGED_AFTER` its end or later, and by what had been stored
`KNOWN_AFTER` it: what is being written in between has been committed by then. So it makes no
difference when a minute is judged, an hour late or a week later.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MINUTE: Final = timedelta(minutes=1)
JUDGED_AFTER: Final = timedelta(seconds=120)
KNOWN_AFTER: Final = timedelta(seconds=110)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Ints = NDArray[np.int64]


def known_from(stored_at: datetime) -> datetime:
    """The first end of a minute that is judged by what is stored at a moment."""
    end = stored_at - KNOWN_AFTER
    whole = end.replace(second=0, microsecond=0)
    return whole if whole == end else whole + MINUTE


def minute_number(at: datetime) -> int:
    """The whole minutes up to a moment."""
    return (at - _EPOCH) // MINUTE


def minute_start(number: int) -> datetime:
    """When a minute begins."""
    return _EPOCH + number * MINUTE


class Late(NamedTuple):
    """What came late, one place each: the minute that it belongs to, the first end that knows of
    it (both as numbers of minutes), and a row of whatever was counted."""

    minutes: Ints
    known: Ints
    values: Ints


def missing(late: Late, first: int, count: int, width: int) -> Ints:
    """What the windows of so many minutes that end at `first` and at the `count` - 1 minutes after
    it do not know of yet: a row for each of the ends.

    Each late row is added to all the ends that miss it at once, at the first and after the last.
    """
    since = np.maximum(late.minutes + 1, first)
    until = np.minimum(late.minutes + width + 1, late.known)
    until = np.minimum(until, first + count)
    some = since < until
    steps = np.zeros((count + 1, *late.values.shape[1:]), dtype=np.int64)
    np.add.at(steps, since[some] - first, late.values[some])
    np.subtract.at(steps, until[some] - first, late.values[some])
    summed: Any = np.cumsum(steps[:-1], axis=0)
    return np.asarray(summed, dtype=np.int64)
