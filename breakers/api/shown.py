"""How the API shows breakers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from breakers.models import Breaker
from breakers.selectors.breaker_view import BreakerView
from breakers.selectors.breakers import breaker_find
from breakers.selectors.names import breaker_check, breaker_locate


def located(service: str, name: str) -> tuple[str, str]:
    """The service and the name that a path means; either may hold slashes."""
    return breaker_locate(f"{service}/{name}")


def found(service: str, name: str) -> BreakerView:
    """One breaker. Raises `NotFound`, with what there is."""
    try:
        return breaker_find(service, name, datetime.now(UTC))
    except Breaker.DoesNotExist:
        breaker_check(service, name)
        raise


def shown(view: BreakerView) -> dict[str, Any]:
    """The fields of `BreakerOut`."""
    current, live = view.applied(view.override)
    return {
        **{name: getattr(view, name) for name in _FIELDS},
        "minimum_number_of_calls": view.minimum,
        "applied": {"version": view.version, "current": current, "live": live},
    }


_FIELDS = (
    "key", "service", "name", "state", "silent", "disagrees", "since", "reason", "next_probe_at",
    "override", "overrides", "instances", "failure_rate", "slow_call_rate", "calls", "failures",
    "slow", "rejected", "window_seconds", "policy", "domains",
)  # fmt: skip
