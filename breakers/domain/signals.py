"""The `resilience.*` telemetry, read with care: whoever speaks OTLP may send it.

Each function returns None for what cannot be used, and bounds what can.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from breakers.runtime.circuit_state import CircuitState

MAX_NAME = 200
MAX_REASON = 500
MAX_OUTPUT = 4_000
MAX_POLICY = 20_000
MAX_BATCH = 2 << 20
_MAX_COUNT = 2**31 - 1
_MAX_SETTING = 2**53
# Longer than any breaker stays open.
_MAX_SECONDS = 30 * 86_400.0

STATES = frozenset(state.value for state in CircuitState)
Attributes = Mapping[str, Any]

_BREAKER, _RETRY = "resilience.breaker.", "resilience.retry."
_FALLBACK, _BULKHEAD, _HEALING = (
    "resilience.fallback.",
    "resilience.bulkhead.",
    "resilience.healing.",
)


class Transition(NamedTuple):
    """A breaker changed its state; `retry_after` is in seconds, where it opened and said so."""

    name: str
    from_state: str
    to_state: str
    reason: str
    failure_rate: float | None
    calls: int | None
    retry_after: float | None


class Attempt(NamedTuple):
    """A failed attempt, or the end of a call that had one."""

    dependency: str
    classification: str
    outcome: str
    delay_ms: float


class Served(NamedTuple):
    """An answer in place of a failed one; its age in seconds, where it has one."""

    dependency: str
    source: str
    age: float | None


class Turned(NamedTuple):
    """Calls that a bulkhead rejected."""

    name: str
    tier: str
    reason: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here


class Breach(NamedTuple):
    """A bulkhead that does not isolate, and what was done."""

    name: str
    kind: str
    mitigation: str


class Configured(NamedTuple):
    """What a breaker works by, and the failure domains that it belongs to."""

    name: str
    policy: dict[str, Any]
    domains: tuple[str, ...]


class Reported(NamedTuple):
    """What became of a command."""

    command_id: UUID
    outcome: str
    output: str


def transition(attributes: Attributes) -> Transition | None:
    name = text(attributes.get(f"{_BREAKER}name"))
    before, after = (
        state(attributes.get(f"{_BREAKER}from_state")),
        state(attributes.get(f"{_BREAKER}to_state")),
    )
    if not name or not before or not after:
        return None
    return Transition(
        name,
        before,
        after,
        text(attributes.get(f"{_BREAKER}reason"), MAX_REASON),
        share(attributes.get(f"{_BREAKER}failure_rate")),
        count(attributes.get(f"{_BREAKER}calls")),
        seconds(attributes.get(f"{_BREAKER}retry_after")),
    )


def rejected(attributes: Attributes) -> tuple[str, int] | None:
    """A breaker's name, and how many calls it rejected (1 where that is not said)."""
    name = text(attributes.get(f"{_BREAKER}name"))
    number = attributes.get(f"{_BREAKER}count")
    how_many = 1 if number is None else count(number)
    return (name, how_many) if name and how_many is not None else None


def attempt(attributes: Attributes) -> Attempt | None:
    dependency = text(attributes.get("resilience.dependency"))
    if not dependency:
        return None
    return Attempt(
        dependency,
        text(attributes.get(f"{_RETRY}classification"), 100),
        text(attributes.get(f"{_RETRY}outcome"), 100) or "retried",
        min(number(attributes.get(f"{_RETRY}delay_ms")) or 0.0, _MAX_SECONDS * 1000),
    )


def served(attributes: Attributes) -> Served | None:
    dependency = text(attributes.get("resilience.dependency"))
    if not dependency:
        return None
    return Served(
        dependency,
        text(attributes.get(f"{_FALLBACK}source"), 100) or "function",
        seconds(attributes.get(f"{_FALLBACK}age_seconds")),
    )


def turned(attributes: Attributes) -> Turned | None:
    name = text(attributes.get(f"{_BULKHEAD}name"))
    given = attributes.get(f"{_BULKHEAD}count")
    how_many = 1 if given is None else count(given)
    if not name or how_many is None:
        return None
    return Turned(
        name,
        text(attributes.get(f"{_BULKHEAD}tier"), 100),
        text(attributes.get(f"{_BULKHEAD}reason"), 100),
        how_many,
    )


def breach(attributes: Attributes) -> Breach | None:
    name = text(attributes.get(f"{_BULKHEAD}name"))
    kind = text(attributes.get(f"{_BULKHEAD}kind"), 100)
    if not name or not kind:
        return None
    return Breach(name, kind, text(attributes.get(f"{_BULKHEAD}mitigation")))


def configured(attributes: Attributes) -> Configured | None:
    name = text(attributes.get(f"{_BREAKER}name"))
    raw = attributes.get(f"{_BREAKER}policy")
    if not name or not isinstance(raw, str) or len(raw) > MAX_POLICY:
        return None
    try:
        policy = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(policy, dict):
        return None
    domains = text(attributes.get(f"{_BREAKER}domains"), 10 * MAX_NAME)
    named = tuple(sorted({text(each) for each in domains.split(",") if each.strip()}))
    settings = {text(key, 100): value for key, value in policy.items() if _is_setting(value)}
    return Configured(name, settings, named)


def _is_setting(value: Any) -> bool:
    """Whether it is a value that a setting can have, and that can be stored."""
    if isinstance(value, str):
        return len(value) <= MAX_NAME and text(value) == value
    if isinstance(value, bool) or value is None:
        return True
    # Neither infinite ones nor NaN pass; whole numbers of JSON may be larger than any float.
    return isinstance(value, int | float) and abs(value) <= _MAX_SETTING


def outcomes(attributes: Attributes) -> tuple[str, bytes] | None:
    """A breaker's name, and a batch of its recorded outcomes as `breakers.runtime.outcomes` packs
    them, undecoded."""
    name = text(attributes.get(f"{_BREAKER}name"))
    raw = attributes.get(f"{_BREAKER}batch")
    if not name or not isinstance(raw, str) or len(raw) > MAX_BATCH:
        return None
    try:
        return name, base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        return None


def reported(attributes: Attributes) -> Reported | None:
    try:
        command_id = UUID(str(attributes.get("resilience.command.id")))
    except ValueError:
        return None
    return Reported(
        command_id,
        text(attributes.get(f"{_HEALING}outcome"), 16),
        text(attributes.get(f"{_HEALING}output"), MAX_OUTPUT),
    )


# --- Values


def text(value: Any, most: int = MAX_NAME) -> str:
    """A text that can be stored, cut to `most` characters; empty for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).replace("\0", "").encode("utf-8", "replace").decode().strip()[:most]


def state(value: Any) -> str | None:
    return value if isinstance(value, str) and value in STATES else None


def number(value: Any) -> float | None:
    """A number of 0 or more; whole ones come as text in OTLP's JSON."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


def share(value: Any) -> float | None:
    found = number(value)
    return None if found is None or found > 1 else found


def seconds(value: Any) -> float | None:
    found = number(value)
    return None if found is None or found > _MAX_SECONDS else found


def count(value: Any) -> int | None:
    found = number(value)
    return None if found is None or found > _MAX_COUNT else int(found)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
