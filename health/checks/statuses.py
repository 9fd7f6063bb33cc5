"""HTTP status codes that a check expects: `200`, `200-299`, `200,204,300-399`, or a list of these."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

_PART = re.compile(r"([1-9][0-9]{2})(?:\s*-\s*([1-9][0-9]{2}))?")


@dataclass(frozen=True)
class Statuses:
    """The expected codes, as ranges with both ends within."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.ranges)

    def __str__(self) -> str:
        return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in self.ranges)


@functools.lru_cache(maxsize=1024)
def statuses(written: str | int | tuple[str | int, ...]) -> Statuses:
    """Raises `ValueError` with what is wrong, in words."""
    parts = written if isinstance(written, tuple) else (written,)
    if not parts:
        raise ValueError("must name at least one code")
    texts = [text.strip() for part in parts for text in str(part).split(",")]
    return Statuses(tuple(_range(text) for text in texts))


def _range(text: str) -> tuple[int, int]:
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(f"must be codes such as 200 or ranges such as 200-299, not “{text[:20]}”")
    low = int(found[1])
    high = int(found[2] or found[1])
    if not 100 <= low <= high <= 599:
        raise ValueError(f"must be between 100 and 599, the lower one first, not “{text}”")
    return low, high
