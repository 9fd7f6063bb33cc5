"""Counts over time, added up in memory and then written by one statement a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

BIN_SECONDS = 10
_SECOND_NS = 1_000_000_000

Key = tuple[Any, ...]


def bin_of(at_ns: int, seconds: int) -> datetime:
    """The start of the bin of so many seconds that a time falls into."""
    return datetime.fromtimestamp(at_ns // _SECOND_NS // seconds * seconds, UTC)


class Counts:
    """What a batch adds to the counts of breakers, retries, fallbacks and bulkheads."""

    def __init__(self) -> None:
        self._calls: dict[Key, dict[str, float]] = {}
        self._minutes: dict[Key, dict[str, float]] = {}
        self._retries: dict[Key, dict[str, float]] = {}
        self._fallbacks: dict[Key, dict[str, float]] = {}
        self._bulkheads: dict[Key, dict[str, float]] = {}

    def add_calls(
        self, at_ns: int, service: str, name: str, instance: str, *, live: bool, **counts: float
    ) -> None:
        """Add to calls, failures, ignored, slow, rejected or seconds; to those that are shown live
        only where they are recent enough for that."""
        if live:
            _add(self._calls, (bin_of(at_ns, BIN_SECONDS), service, name, instance), counts)
        _add(self._minutes, (bin_of(at_ns, 60), service, name), counts)

    def add_attempt(
        self,
        at_ns: int,
        service: str,
        dependency: str,
        classification: str,
        outcome: str,
        delay_ms: float,
    ) -> None:
        key = (bin_of(at_ns, 60), service, dependency, classification, outcome)
        _add(self._retries, key, {"attempts": 1, "delay_ms": delay_ms})

    def add_served(
        self, at_ns: int, service: str, dependency: str, source: str, age: float | None
    ) -> None:
        key = (bin_of(at_ns, 60), service, dependency, source)
        aged = {} if age is None else {"aged": 1, "age_sum": age}
        _add(self._fallbacks, key, {"served": 1, **aged})
        if age is not None:
            counts = self._fallbacks[key]
            counts["age_max"] = max(counts.get("age_max", 0.0), age)

    def add_turned(
        self, at_ns: int, service: str, name: str, tier: str, reason: str, count: int
    ) -> None:
        key = (bin_of(at_ns, 60), service, name, tier, reason)
        _add(self._bulkheads, key, {"rejected": count})

    def write(self) -> None:
        """Add everything to the tables, in the order of keys."""
        for table, keys, columns, counts in (
            ("breakers_callrollup", _CALL_KEYS, _CALLS, self._calls),
            ("breakers_callminute", _CALL_KEYS[:3], _CALLS, self._minutes),
            ("breakers_retryrollup", _RETRY_KEYS, _RETRIES, self._retries),
            ("breakers_fallbackrollup", _FALLBACK_KEYS, _FALLBACKS, self._fallbacks),
            ("breakers_bulkheadrollup", _BULKHEAD_KEYS, _BULKHEADS, self._bulkheads),
        ):
            _upsert(table, keys, columns, counts)


_CALL_KEYS = ("at", "service", "name", "instance")
_CALLS = {
    "calls": "bigint", "failures": "bigint", "ignored": "bigint", "slow": "bigint",
    "rejected": "bigint", "seconds": "float8",
}  # fmt: skip
_RETRY_KEYS = ("minute", "service", "dependency", "classification", "outcome")
_RETRIES = {"attempts": "bigint", "delay_ms": "float8"}
_FALLBACK_KEYS = ("minute", "service", "dependency", "source")
_FALLBACKS = {"served": "bigint", "aged": "bigint", "age_sum": "float8", "age_max": "float8"}
_BULKHEAD_KEYS = ("minute", "service", "name", "tier", "reason")
_BULKHEADS = {"rejected": "bigint"}
_GREATEST = "age_max"


def _add(to: dict[Key, dict[str, float]], key: Key, counts: Mapping[str, float]) -> None:
    held = to.setdefault(key, {})
    for name, count in counts.items():
        held[name] = held.get(name, 0) + count


def _upsert(
    table: str,
    keys: Sequence[str],
    columns: Mapping[str, str],
    counts: Mapping[Key, Mapping[str, float]],
) -> None:
    if not counts:
        return
    names = ["minute" if table.endswith("minute") and k == "at" else k for k in keys]
    rows = [
        (
            *key,
            *(counts[key].get(name, None if name == _GREATEST else 0) for name in columns),
        )
        for key in sorted(counts)
    ]
    types = ["timestamptz", *("text" for _ in names[1:]), *columns.values()]
    arrays = ", ".join(f"%s::{each}[]" for each in types)
    sums = ", ".join(
        f"{name} = GREATEST(t.{name}, excluded.{name})"
        if name == _GREATEST
        else f"{name} = t.{name} + excluded.{name}"
        for name in columns
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} AS t ({', '.join([*names, *columns])}) "
            f"SELECT * FROM unnest({arrays}) "
            f"ON CONFLICT ({', '.join(names)}) DO UPDATE SET {sums}",
            [list(column) for column in zip(*rows, strict=True)],
        )
