"""Faults that can be switched on while the Graph simulator runs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from breakers.runtime import HTTPError, testing


class FaultKind(StrEnum):
    THROTTLE = "throttle"
    UNAVAILABLE = "unavailable"
    LATENCY = "latency"
    RESET = "reset"
    AUTH = "auth"
    TOKEN = "token"  # noqa: S105 - a kind of fault, not a secret


# What `value` means where it is left out: seconds of Retry-After, or of added delay.
_DEFAULT_VALUE = {FaultKind.THROTTLE: 5.0, FaultKind.LATENCY: 2.0}
_FIELDS = {"kind", "rate", "value", "seconds"}
_LONGEST_DELAY = 60.0  # seconds


class FaultError(ValueError):
    """The description of a fault cannot be used; the message names the field and what is allowed."""


@dataclass(frozen=True)
class Fault:
    """One fault: how often (`rate`, 0..1), how strong (`value`), until when (`ends_at`)."""

    kind: FaultKind
    rate: float
    value: float | None
    seconds: float | None
    ends_at: float | None
    injected: testing.Fault = field(compare=False, repr=False)

    def as_json(self, now: float) -> dict[str, Any]:
        left = None if self.ends_at is None else round(max(0.0, self.ends_at - now), 3)
        return {
            "kind": self.kind.value,
            "rate": self.rate,
            "value": self.value,
            "seconds": self.seconds,
            "seconds_left": left,
        }


class Faults:
    """The faults that are active, at most one of each kind."""

    def __init__(self, rng: random.Random, clock: Callable[[], float]) -> None:
        self._rng = rng
        self._clock = clock
        self._by_kind: dict[FaultKind, Fault] = {}

    def put(self, described: object) -> Fault:
        """Switch a fault on in place of the one of its kind. Raises FaultError."""
        fault = _parse(described, self._clock(), self._rng.random)
        self._by_kind[fault.kind] = fault
        return fault

    def clear(self, kind: str | None = None) -> None:
        """Switch off one kind, or all. Raises FaultError for an unknown kind."""
        if kind is None:
            self._by_kind.clear()
        else:
            self._by_kind.pop(_kind(kind), None)

    def active(self) -> list[Fault]:
        now = self._clock()
        for kind, fault in list(self._by_kind.items()):
            if fault.ends_at is not None and fault.ends_at <= now:
                del self._by_kind[kind]
        return [self._by_kind[kind] for kind in FaultKind if kind in self._by_kind]

    def as_json(self) -> dict[str, Any]:
        now = self._clock()
        return {"items": [fault.as_json(now) for fault in self.active()]}

    def strike(self, kind: FaultKind) -> Fault | None:
        """The fault of this kind if it hits the present request, by its rate."""
        for fault in self.active():
            if fault.injected.strikes(kind):
                return fault
        return None


def _parse(described: object, now: float, chance: Callable[[], float]) -> Fault:
    if not isinstance(described, dict):
        raise FaultError('a fault is a JSON object such as {"kind": "throttle", "rate": 0.5}')
    unknown = sorted(set(described) - _FIELDS)
    if unknown:
        raise FaultError(
            f"{unknown[0]!r} is not a field; the fields are kind, rate, value, seconds"
        )
    kind = _kind(described.get("kind"))
    rate = _number("rate", described.get("rate"), minimum=0, maximum=1)
    value = _number("value", described.get("value"), minimum=0)
    seconds = _number("seconds", described.get("seconds"), minimum=0)
    if seconds == 0:
        raise FaultError("seconds must be greater than 0; got 0")
    rate = 1.0 if rate is None else rate
    strength = _strength(kind, value)
    return Fault(
        kind=kind,
        rate=rate,
        value=strength,
        seconds=seconds,
        ends_at=None if seconds is None else now + seconds,
        injected=_injected(kind, rate, strength, chance),
    )


def _injected(
    kind: FaultKind, rate: float, strength: float | None, chance: Callable[[], float]
) -> testing.Fault:
    """The fault that decides which requests are struck."""
    if kind is FaultKind.LATENCY:
        return testing.Fault(
            kind, latency=strength or 0.0, hang=not strength, rate=rate, chance=chance
        )
    if kind is FaultKind.RESET:
        return testing.Fault(kind, reset=True, rate=rate, chance=chance)
    status = {FaultKind.THROTTLE: 429, FaultKind.TOKEN: 401}.get(kind, 503)
    return testing.Fault(kind, error=HTTPError(status), rate=rate, chance=chance)


def _kind(given: object) -> FaultKind:
    try:
        return FaultKind(given)  # type: ignore[arg-type]
    except ValueError:
        raise FaultError(f"kind must be one of {', '.join(FaultKind)}; got {given!r}") from None


def _number(name: str, given: object, *, minimum: float, maximum: float = math.inf) -> float | None:
    if given is None:
        return None
    allowed = (
        f"from {minimum:g} to {maximum:g}" if maximum < math.inf else f"of {minimum:g} or more"
    )
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, float))
        or not math.isfinite(given)
        or not minimum <= given <= maximum
    ):
        raise FaultError(f"{name} must be a number {allowed}; got {given!r}")
    return float(given)


def _strength(kind: FaultKind, value: float | None) -> float | None:
    if value is None:
        return _DEFAULT_VALUE.get(kind)
    # No client waits longer than a minute, so a larger delay can only be meant as milliseconds.
    if kind is FaultKind.LATENCY and value > _LONGEST_DELAY:
        return min(value / 1000, _LONGEST_DELAY)
    return value
