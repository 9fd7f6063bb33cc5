"""Measurements with their units, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from resilience_site.core.formatting import compact, duration, three_digits

_KIBI: Final = 1024.0
_PREFIXES: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi")


def observed_words(observed: Mapping[str, Any]) -> list[tuple[str, str]]:
    """`{"disk_used": {"value": 81.2, "unit": "percent"}}` as `("disk used", "81.2 %")`."""
    found = []
    for name, each in observed.items():
        value = each.get("value") if isinstance(each, Mapping) else None
        if isinstance(value, int | float):
            found.append((name.replace("_", " "), quantity(float(value), str(each.get("unit")))))
    return found


def quantity(value: float, unit: str) -> str:
    """A number with its unit: `ms`, `s`, `bytes`, `percent`, `1` or one that speaks for itself."""
    known: dict[str, Callable[[float], str]] = {
        "ms": lambda each: duration(each / 1000),
        "s": duration,
        "bytes": _bytes,
        "percent": lambda each: f"{three_digits(each)} %",
        "1": compact,
    }
    return known[unit](value) if unit in known else f"{compact(value)} {unit}"


def _bytes(value: float) -> str:
    size, place = abs(value), 0
    while size >= _KIBI and place < len(_PREFIXES) - 1:
        size /= _KIBI
        place += 1
    return f"{'-' if value < 0 else ''}{three_digits(size)} {_PREFIXES[place]}B"
