"""Times as telemetry counts them, nanoseconds since the epoch, and as people and files write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def nanoseconds(at: datetime) -> int:
    """A time as nanoseconds since the epoch, exact to the microsecond."""
    return (at - _EPOCH) // _MICROSECOND * 1_000


def moment(time_ns: int) -> datetime:
    """The time of so many nanoseconds since the epoch, to the microsecond."""
    return _EPOCH + time_ns // 1_000 * _MICROSECOND


# Seconds since the epoch have at most 11 digits for the next 3,000 years; numbers with more digits
# are milli-, micro- or nanoseconds.
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
# Years 1 to 9999: what a time can be written as.
_EARLIEST: Final = -62_135_596_800.0
_LATEST: Final = 253_402_300_799.0


def unit_of(number: float) -> float:
    """How many of its unit make a second, told by the size of a time since the epoch."""
    return next((unit for least, unit in _UNITS if abs(number) >= least), 1.0)


def seconds_read(text: str) -> float:
    """A written time as seconds since the epoch: a number of seconds (milli-, micro-, nanoseconds),
    or ISO 8601, which is UTC where it names no zone. Raises ValueError for anything else."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    seconds = number / unit_of(number)
    if not (math.isfinite(number) and _EARLIEST <= seconds <= _LATEST):
        raise ValueError(f"{text[:40]!r} is no time")
    return seconds
