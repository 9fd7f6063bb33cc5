"""What the site decides, and what breakers tell of it."""

from __future__ import annotations

from typing import Any

from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerEvent


def override(state: str, seconds: float | None = None, **more: Any) -> dict[str, Any]:
    at = None if seconds is None else f"in {seconds} s"
    return {
        "override": {
            "state": state, "reason": "drill", "actor": "ana", "expires_at": at,
            "expires_in": seconds, **more,
        },
        "policy": {},
    }  # fmt: skip


def told_of(breaker: CircuitBreaker) -> list[BreakerEvent]:
    told: list[BreakerEvent] = []
    breaker.on_event(told.append)
    return told


def states(told: list[BreakerEvent]) -> list[str]:
    return [each.to_state.value for each in told]
