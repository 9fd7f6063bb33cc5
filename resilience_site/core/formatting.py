"""How numbers and times are written on every screen. Pure functions; `now` is passed in."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

ABSENT: Final = "n/a"
_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_PREFIXES: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNSHOWN: Final = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """`text` without what neither XML nor a screen can show."""
    return _UNSHOWN.sub("", text)


def exact(moment: datetime) -> str:
    """`2026-11-24 03:12:07 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`, for attributes and links."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def relative(moment: datetime, now: datetime) -> str:
    """`12 s ago`, `3 min ago`, `in 2 h`; the largest unit that fits, never two."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    for length, unit in _STEPS:
        if abs(seconds) >= length:
            count = int(abs(seconds) // length)
            return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
    return "just now"


def duration(seconds: float | None) -> str:
    """A length of time in seconds, at three digits: `840 µs`, `12.4 ms`, `1.24 s`, `2 min 5 s`."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    sign, size = ("-" if seconds < 0 else ""), abs(seconds)
    if size == 0:
        return "0 s"
    if size < 0.9995:
        for scale, unit in ((1e6, "µs"), (1e3, "ms")):
            text = three_digits(size * scale)
            if float(text) < 1000:
                return f"{sign}{text} {unit}"
    if size < 59.95:
        return f"{sign}{three_digits(size)} s"
    return sign + _clock(round(size))


def _clock(seconds: int) -> str:
    parts = []
    for length, unit in _STEPS:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def three_digits(value: float) -> str:
    """`value` with three significant digits and no needless zeros after the point."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ABSENT
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def compact(value: float | None) -> str:
    """`950`, `12.4k`, `3.1M`; whole numbers below ten thousand stay exact."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if abs(value) < 10_000:
        return f"{value:,.0f}" if value == int(value) else three_digits(value)
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale * 0.9995:
            return f"{three_digits(value / scale)}{prefix}"
    return three_digits(value)


def percent(part: float, whole: float) -> str:
    """`part` of `whole` in percent; `n/a` without a whole, and never a false 0 % or 100 %."""
    if whole <= 0:
        return ABSENT
    share = 100 * part / whole
    if 0 < share < 0.01:
        return "<0.01 %"
    if 99.99 < share < 100:
        return ">99.99 %"
    return f"{three_digits(share) if share < 99.5 else f'{share:.2f}'.rstrip('0').rstrip('.')} %"


def window(seconds: float) -> str:
    """The name of a window: `last 60 s`, `last 15 min`, `last 24 h`, `last 7 d`."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        # Up to two minutes and two days people say seconds and hours.
        if seconds % length == 0 and seconds >= (2 * length if unit in ("min", "d") else length):
            return f"last {int(seconds // length)} {unit}"
    return f"last {three_digits(seconds)} s"


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def singular(noun: str) -> str:
    """The noun of one: `service` of `services`, `entry` of `entries`."""
    return f"{noun.removesuffix('ies')}y" if noun.endswith("ies") else noun.removesuffix("s")
