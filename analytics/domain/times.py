"""Times as telemetry counts them: nanoseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def nanoseconds(at: datetime) -> int:
    """A time as nanoseconds since the epoch, exact to the microsecond."""
    return (at - _EPOCH) // _MICROSECOND * 1_000


def moment(time_ns: int) -> datetime:
    """The time of so many nanoseconds since the epoch, to the microsecond."""
    return _EPOCH + time_ns // 1_000 * _MICROSECOND
