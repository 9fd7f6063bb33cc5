"""Values of trends in the words of their unit."""

from __future__ import annotations

from typing import Final

from resilience_site.core.formatting import ABSENT, compact, duration, percent

# Shares differ by points: "per cent" would be of what it was before.
_DIFFERENCES: Final = {"1": (100.0, " points"), "1/s": (1.0, "/s")}


def said(value: float | None, unit: str) -> str:
    """`4.2 %`, `120 ms`, `3.1/s`, `12 errors`; `n/a` for none."""
    if value is None:
        return ABSENT
    if unit == "1":
        return "0 %" if value == 0 else percent(value, 1) if value > 0 else f"-{percent(-value, 1)}"
    if unit in ("ms", "s"):
        return duration(value / 1000 if unit == "ms" else value)
    number = compact(round(value, 2))
    return f"{number}/s" if unit == "1/s" else f"{number} {unit}".strip()


def signed(value: float, unit: str) -> str:
    """A difference with its sign: `+0.14 points`, `-3.2 ms`, `+0.02/s`."""
    scale, suffix = _DIFFERENCES.get(unit, (1.0, f" {unit}"))
    return f"{value * scale:+.2g}{suffix}"
