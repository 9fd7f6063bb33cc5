"""What somebody says of an objective, field by field: read, or refused with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from analytics.choices import SloKind, SloSource
from analytics.selectors.slo_runs import run_slow_from_ms
from resilience_site.core.formatting import duration
from resilience_site.core.problems import Invalid

LEAST_OBJECTIVE: Final = 0.5
MOST_OBJECTIVE: Final = 0.999999
LEAST_DAYS: Final = 7
# Figures per hour are kept for 92 days.
MOST_DAYS: Final = 90
MOST_REASON: Final = 1_000
# Bad ones in the long window of a burn rate, below which nobody is called. Two failed probes in 30
# seconds are a bad minute, and two slow ones no slowdown.
LEAST_CALLS: Final = 10
LEAST_SECONDS: Final = 90
LEAST_RUNS: Final = 3
MOST_NAME: Final = 200
MOST_BAD: Final = 1_000_000
MOST_THRESHOLD_MS: Final = 80_000.0
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def service_read(value: Any) -> str:
    """The name of a service. Raises `Invalid`."""
    if not isinstance(value, str) or not value.strip() or value != value.strip():
        raise Invalid.field("service", "Name a service, without whitespace at its ends.")
    if len(value) > MOST_NAME or _CONTROL.search(value):
        raise Invalid.field(
            "service", f"A service's name has at most {MOST_NAME} characters, all of them visible."
        )
    return value


def reason_read(value: Any) -> str:
    """Why something is done. Raises `Invalid`."""
    if not isinstance(value, str) or len(value) > MOST_REASON or _UNSEEN.search(value):
        raise Invalid.field("reason", f"A reason is a text of at most {MOST_REASON} characters.")
    return value.strip()


def kind_read(value: Any) -> SloKind:
    """Raises `Invalid` that lists what there is."""
    return SloKind(_chosen("kind", value, SloKind.values))


def source_read(value: Any) -> SloSource:
    """Raises `Invalid` that lists what there is."""
    return SloSource(_chosen("source", value, SloSource.values))


def numbers_read(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that can be changed, of those that are given. Raises `Invalid`."""
    return {name: read(name, given[name]) for name, read in _NUMBERS.items() if name in given}


def together_check(kind: str, source: str, threshold_ms: float | None) -> None:
    """Whether the fields fit one another. Raises `Invalid`."""
    if kind == SloKind.LATENCY:
        if threshold_ms is None:
            what = "a run" if source == SloSource.CHECKS else "a call"
            raise Invalid.field(
                "threshold_ms", f"Say from how many milliseconds on {what} is too slow."
            )
    elif threshold_ms is not None:
        raise Invalid.field("threshold_ms", "Only an objective of latency has a threshold.")


def reach_check(threshold_ms: float | None, longest_seconds: float | None) -> None:
    """Whether a run of checks that give up after `longest_seconds` (None: there are none) can count
    as too slow at all. Raises `Invalid`."""
    if threshold_ms is None or longest_seconds is None:
        return
    slow_from = run_slow_from_ms(threshold_ms) / 1_000
    if slow_from >= longest_seconds:
        raise Invalid.field(
            "threshold_ms",
            f"No run would be too slow: that is from {duration(slow_from)} on, and the critical "
            f"checks give up after {duration(longest_seconds)}, which is a failure. Choose a lower "
            "threshold, or let the checks wait for longer.",
        )


def _chosen(field: str, value: Any, values: list[str]) -> str:
    if value not in values:
        raise Invalid.field(field, f"{field} must be {' or '.join(values)}.")
    return str(value)


def _number(field: str, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid.field(field, f"{field} must be a number.")
    if not least <= value <= most:
        raise Invalid.field(
            field, f"{field} must be from {least:.9g} to {most:.9g}, not {value:.9g}."
        )
    return float(value)


def _objective(field: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100:
        raise Invalid.field(
            field, f"objective is a share, not percent: {value:g} % is {value / 100:g}."
        )
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 1:
        raise Invalid.field(
            field, "An objective of 1 leaves no budget: a single failure would break it for good."
        )
    number = _number(field, value, LEAST_OBJECTIVE, MOST_OBJECTIVE)
    if abs(number * 1e6 - round(number * 1e6)) > 1e-4:
        raise Invalid.field(field, "objective has at most six decimals.")
    return round(number, 6)


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    def read(field: str, value: Any) -> int:
        number = _number(field, value, least, most)
        if number != int(number):
            raise Invalid.field(field, f"{field} must be a whole number.")
        return int(number)

    return read


def _threshold(field: str, value: Any) -> float | None:
    return None if value is None else _number(field, value, 0.1, MOST_THRESHOLD_MS)


def _flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid.field(field, f"{field} must be true or false.")
    return value


_NUMBERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "objective": _objective,
    "window_days": _whole(LEAST_DAYS, MOST_DAYS),
    "threshold_ms": _threshold,
    "min_bad": _whole(0, MOST_BAD),
    "enabled": _flag,
}
CHANGEABLE: Final = tuple(_NUMBERS)
