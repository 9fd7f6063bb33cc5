"""Time ranges as people and scripts write them: `since=24h`, `until=now-5m`, RFC 3339, Unix time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from resilience_site.core.problems import Invalid

UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
DEFAULT_LENGTH: Final = timedelta(hours=1)
LONGEST: Final = timedelta(days=366)
# Far enough from the ends of time to reckon with what lies before and after a range.
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)

_RELATIVE = re.compile(r"(?:now(?=-|$))?(?:-?(?P<count>[0-9]{1,9})(?P<unit>[smhdw]))?", re.ASCII)
_UNIX = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?", re.ASCII)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_FORMS = "an RFC 3339 time, a length of time ago such as 15m, 24h or 7d, now-1h, or Unix seconds"


@dataclass(frozen=True)
class TimeRange:
    """From `since` (included) to `until` (excluded), both aware."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        return self.until - self.since

    def before(self) -> TimeRange:
        """The range of the same length that ends where this one starts."""
        return TimeRange(self.since - self.length, self.since)


def parse_instant(text: str, now: datetime, field: str = "query.since") -> datetime:
    """The moment that `text` means at `now`, in UTC; a time without zone is UTC.

    Raises `Invalid` that names `field`.
    """
    # A plus sign that nobody escaped reaches us as a space.
    text = re.sub(r" (?=[0-9]{2}:[0-9]{2}$)", "+", text.strip()) if "T" in text else text.strip()
    try:
        moment = _instant(text, now)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise Invalid.field(field, f"{text[:80]!r} is not a time: give {_FORMS}.")
    return moment


def _instant(text: str, now: datetime) -> datetime | None:
    if _UNIX.fullmatch(text):
        return datetime.fromtimestamp(float(text), UTC)
    if _RFC3339.fullmatch(text):
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    relative = _RELATIVE.fullmatch(text)
    if relative is None or text in ("", "-"):
        return None
    if relative["count"] is None:
        return now
    return now - int(relative["count"]) * UNITS[relative["unit"]]


def parse_range(
    since: str | None,
    until: str | None,
    *,
    now: datetime,
    default: timedelta = DEFAULT_LENGTH,
    longest: timedelta = LONGEST,
) -> TimeRange:
    """The range of two optional parameters; without `since`, the `default` length before `until`.

    Raises `Invalid` when a text is no time, the range is empty, longer than `longest` or at one of
    the ends of time.
    """
    end = parse_instant(until, now, "query.until") if until else now
    try:
        start = parse_instant(since, now, "query.since") if since else end - default
    except OverflowError:
        raise Invalid.field("query.until", "until lies before the beginning of time.") from None
    if start >= end:
        raise Invalid.field(
            "query.since", f"since ({_text(start)}) must lie before until ({_text(end)})."
        )
    if start < EARLIEST or end > LATEST:
        raise Invalid.field(
            "query.since", f"The range must lie between {EARLIEST.year} and {LATEST.year}."
        )
    if end - start > longest:
        raise Invalid.field(
            "query.since", f"The range is longer than {longest.days} days; choose a shorter one."
        )
    return TimeRange(start, end)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
