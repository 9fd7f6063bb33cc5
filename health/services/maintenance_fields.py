"""What somebody says of a maintenance window, read and judged as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from health.choices import MaintenanceKind
from health.domain.windows import LONGEST_RECURRING, Rule, cron_refusal, occurrences
from health.services.check_fields import name_read, number_read, text_read
from resilience_site.core.problems import Invalid

LONGEST_SINGLE: Final = timedelta(days=90)
# How far back a window may reach: as far as availability is told.
LONGEST_AGO: Final = timedelta(days=90)
SHORTEST_SECONDS: Final = 60
MOST_TEXT: Final = 1_000
MOST_NAMES: Final = 500
_DAY: Final = timedelta(days=1)
MOST_CRON: Final = 100

TIMES: Final = (
    "kind", "starts_at", "ends_at", "weekdays", "start_time", "cron", "duration_seconds", "timezone",
)  # fmt: skip
TEXTS: Final = ("name", "reason", "public_text")
SCOPE: Final = ("services", "checks")
# Which times each kind is given by, beside `starts_at` and `ends_at`.
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    MaintenanceKind.SINGLE: (),
    MaintenanceKind.WEEKLY: ("weekdays", "start_time", "duration_seconds"),
    MaintenanceKind.CRON: ("cron", "duration_seconds"),
}
_EMPTY: Final[Mapping[str, Any]] = {
    "weekdays": [], "start_time": None, "cron": "", "duration_seconds": None,
}  # fmt: skip


def window_read(given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """All fields of a window but what it covers, as they are stored.

    A recurring window without `starts_at` counts from `now` on. Raises `Invalid` for the first
    field that is wrong, does not belong to the kind, or makes a window that never is.
    """
    kind = given.get("kind")
    if kind not in MaintenanceKind.values:
        raise Invalid.field("kind", f"kind is one of {', '.join(MaintenanceKind.values)}.")
    for field, empty in _EMPTY.items():
        if field not in _OWN[kind] and given.get(field) not in (empty, None, (), ""):
            raise Invalid.field(field, f"A window of the kind {kind} has no {field}.")
    fields: dict[str, Any] = {**_EMPTY, "kind": kind, **texts_read(given)}
    fields["timezone"] = _zone(given.get("timezone", "UTC"))
    fields["starts_at"] = _moment("starts_at", given.get("starts_at"))
    fields["ends_at"] = _moment("ends_at", given.get("ends_at"))
    for field in _OWN[kind]:
        fields[field] = _READ[field](field, given.get(field))
    if kind == MaintenanceKind.SINGLE:
        _single_check(fields)
    else:
        fields["starts_at"] = fields["starts_at"] or now
    _bounds_check(fields, now)
    if kind == MaintenanceKind.WEEKLY:
        _weekly_check(fields)
    elif kind == MaintenanceKind.CRON:
        length = timedelta(seconds=fields["duration_seconds"])
        refusal = cron_refusal(fields["cron"], length, fields["timezone"], now)
        if refusal:
            raise Invalid.field("cron", refusal)
    _some_check(fields)
    return fields


def names_read(field: str, value: Any) -> list[str]:
    """Names of services or of checks, each once. Raises `Invalid`."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Invalid.field(field, f"{field} must be a list of names.")
    if len(value) > MOST_NAMES:
        raise Invalid.field(field, f"{field} holds at most {MOST_NAMES} names.")
    return list(dict.fromkeys(name_read(field, each) for each in value))


def texts_read(given: Mapping[str, Any]) -> dict[str, str]:
    """The fields that say nothing of times: all texts. Raises `Invalid`."""
    return {
        "name": name_read("name", given.get("name")),
        "reason": reason_read(given.get("reason", "")),
        "public_text": text_read("public_text", given.get("public_text", ""), MOST_TEXT),
    }


def reason_read(value: Any) -> str:
    """Why something is done. Raises `Invalid`."""
    reason = text_read("reason", value, MOST_TEXT)
    if not reason:
        raise Invalid.field("reason", "Say why: a reason is needed, for whoever looks later.")
    return reason


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(value: Any) -> str:
    if not isinstance(value, str) or value not in _zones():
        raise Invalid.field("timezone", "timezone must be a name such as UTC or Europe/Berlin.")
    return value


def _moment(field: str, value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Invalid.field(field, f"{field} must be a time with its zone.")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Invalid.field(field, f"{field} lies beyond all calendars.") from None


def _weekdays(field: str, value: Any) -> list[int]:
    known = isinstance(value, Sequence) and not isinstance(value, str) and value
    if not known or not all(type(each) is int and 0 <= each <= 6 for each in value):
        raise Invalid.field(field, "weekdays is a list of days: 0 for Monday to 6 for Sunday.")
    return sorted(set(value))


def _start_time(field: str, value: Any) -> time:
    if not isinstance(value, time) or value.tzinfo is not None:
        raise Invalid.field(field, "start_time must be a time of day, without a zone.")
    return value.replace(microsecond=0)


def _cron(field: str, value: Any) -> str:
    return " ".join(text_read(field, value, MOST_CRON).split())


def _duration(field: str, value: Any) -> int:
    most = LONGEST_RECURRING.total_seconds()
    return int(number_read(field, value, SHORTEST_SECONDS, most, "seconds"))


_READ: Final = {
    "weekdays": _weekdays,
    "start_time": _start_time,
    "cron": _cron,
    "duration_seconds": _duration,
}


def _single_check(fields: Mapping[str, Any]) -> None:
    for field in ("starts_at", "ends_at"):
        if fields[field] is None:
            raise Invalid.field(field, f"A single window needs {field}.")


def _bounds_check(fields: Mapping[str, Any], now: datetime) -> None:
    starts_at, ends_at = fields["starts_at"], fields["ends_at"]
    if starts_at < now - LONGEST_AGO:
        raise Invalid.field(
            "starts_at", f"A window may begin at most {LONGEST_AGO.days} days before now."
        )
    if ends_at is not None and ends_at <= starts_at:
        raise Invalid.field("ends_at", "The window must end after it begins.")
    if fields["kind"] == MaintenanceKind.SINGLE and ends_at - starts_at > LONGEST_SINGLE:
        raise Invalid.field("ends_at", f"A window lasts at most {LONGEST_SINGLE.days} days.")


def _weekly_check(fields: Mapping[str, Any]) -> None:
    days = fields["weekdays"]
    pauses = [
        (after - day - 1) % 7 + 1 for day, after in zip(days, [*days[1:], days[0]], strict=True)
    ]
    if timedelta(seconds=fields["duration_seconds"]) >= min(pauses) * _DAY:
        raise Invalid.field(
            "duration_seconds", "The next window would begin before the one before it is over."
        )


def _some_check(fields: Mapping[str, Any]) -> None:
    """Refuse a recurring window whose end comes before its first occurrence."""
    if fields["ends_at"] is None:
        return
    rule = rule_read(fields)
    if next(occurrences(rule, fields["starts_at"], fields["ends_at"]), None) is None:
        raise Invalid.field("ends_at", "No window begins between starts_at and ends_at.")


def rule_read(fields: Mapping[str, Any]) -> Rule:
    """How the times of read fields are given."""
    return Rule(
        kind=fields["kind"],
        starts_at=fields["starts_at"],
        ends_at=fields["ends_at"],
        weekdays=frozenset(fields["weekdays"]),
        start_time=fields["start_time"],
        cron=fields["cron"],
        duration=timedelta(seconds=fields["duration_seconds"] or 0),
        timezone=fields["timezone"],
    )
