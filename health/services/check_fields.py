"""What somebody says of a check, field by field: read, or refused with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from health.domain.state import MOST_IN_A_ROW
from health.models.checks import NAME
from resilience_site.core.problems import Invalid

LONGEST_INTERVAL: Final = 86_400.0  # seconds
SHORTEST_INTERVAL: Final = 1.0
LONGEST_TIMEOUT: Final = 300.0
SHORTEST_TIMEOUT: Final = 0.1
LONGEST_SETTLE: Final = 3_600.0
MOST_DESCRIPTION: Final = 5_000
MOST_URL: Final = 200

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def name_read(field: str, value: Any) -> str:
    """A name: one line, without whitespace at its ends and without a slash, as it is part of
    addresses. Raises `Invalid`."""
    if not isinstance(value, str) or not value.strip():
        raise Invalid.field(field, f"{field} must be a text that is not empty.")
    if value != value.strip():
        raise Invalid.field(field, f"{field} has whitespace at its ends.")
    if len(value) > NAME:
        raise Invalid.field(field, f"{field} has at most {NAME} characters.")
    if _CONTROL.search(value):
        raise Invalid.field(field, f"{field} holds a control character.")
    return value


def check_name_read(field: str, value: Any) -> str:
    """As `name_read`; a slash would break the address of the check's page."""
    name = name_read(field, value)
    if "/" in name:
        raise Invalid.field(field, f"{field} may not hold a slash.")
    return name


def number_read(field: str, value: Any, least: float, most: float, unit: str) -> float:
    """A finite number within bounds, both included. Raises `Invalid`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid.field(field, f"{field} must be a number of {unit}.")
    if not least <= value <= most:
        raise Invalid.field(
            field, f"{field} must be from {least:g} to {most:g} {unit}, not {value:g}."
        )
    return float(value)


def _number(least: float, most: float, unit: str = "seconds") -> Callable[[str, Any], float]:
    return lambda field, value: number_read(field, value, least, most, unit)


def _in_a_row(field: str, value: Any) -> int:
    number = number_read(field, value, 1, MOST_IN_A_ROW, "runs")
    if number != int(number):
        raise Invalid.field(field, f"{field} must be a whole number.")
    return int(number)


def _degraded(field: str, value: Any) -> float | None:
    if value is None:
        return None
    return number_read(field, value, 0.001, LONGEST_TIMEOUT * 1000, "milliseconds")


def flag_read(field: str, value: Any) -> bool:
    """True or false. Raises `Invalid`."""
    if not isinstance(value, bool):
        raise Invalid.field(field, f"{field} must be true or false.")
    return value


def text_read(field: str, value: Any, most: int = MOST_DESCRIPTION) -> str:
    """A text of several lines. Raises `Invalid`."""
    if not isinstance(value, str):
        raise Invalid.field(field, f"{field} must be a text.")
    if len(value) > most:
        raise Invalid.field(field, f"{field} has at most {most} characters.")
    if _UNSEEN.search(value.replace("\r\n", "\n")):
        raise Invalid.field(field, f"{field} holds a control character.")
    return value.replace("\r\n", "\n").strip()


def _url(field: str, value: Any) -> str:
    text = text_read(field, value, MOST_URL)
    # A link that people click: no other scheme than these.
    if text and not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", text, re.IGNORECASE):
        raise Invalid.field(field, f"{field} must be an http or https address.")
    return text


FIELDS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "name": check_name_read,
    "service": name_read,
    "interval_seconds": _number(SHORTEST_INTERVAL, LONGEST_INTERVAL),
    "timeout_seconds": _number(SHORTEST_TIMEOUT, LONGEST_TIMEOUT),
    "failures_to_down": _in_a_row,
    "successes_to_up": _in_a_row,
    "degraded_above_ms": _degraded,
    "settle_seconds": _number(0, LONGEST_SETTLE),
    "critical": flag_read,
    "enabled": flag_read,
    "description": text_read,
    "runbook_url": _url,
}


def fields_read(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a check, each read by its rule. Raises `Invalid` for the first that is wrong
    or unknown."""
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise Invalid.field(unknown[0], f"A check has no field {unknown[0]!r}.")
    return {field: FIELDS[field](field, value) for field, value in given.items()}


def pace_check(interval: float, timeout: float) -> None:
    """Refuse a run that could still be under way when the next is due. Raises `Invalid`."""
    if timeout > interval:
        raise Invalid.field(
            "timeout_seconds",
            f"The timeout must not exceed the interval: {timeout:g} s of {interval:g} s.",
        )
