"""Arrays for queries as their text: the driver would dump each of thousands of values by itself."""

from __future__ import annotations

from collections.abc import Iterable


def array_text(values: Iterable[object]) -> str:
    """Texts, numbers, times and UUIDs as an array that PostgreSQL reads; none is null."""
    return "{" + ",".join(_quoted(v) if isinstance(v, str) else str(v) for v in values) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
