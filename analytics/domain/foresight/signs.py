"""Signs: kinds of events that may foretell a failure of a service, and the families they are of.

A sign's kind is its family, or its family and what exactly: `errors:TimeoutError`. Plain Python:
ingest reads this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ERRORS, RETRIES, SLOW, SATURATION = "errors", "retries", "slow", "saturation"
BREAKER, CHECKS, BURN, ANOMALY = "breaker", "checks", "burn", "anomaly"
# The ways in which a service fails, named like `analytics.choices.FailureKind`.
HEALTH_DOWN, BREAKER_OPEN, SLO_BREACH = "health_down", "breaker_open", "slo_breach"
LONGEST_KIND: Final = 120


@dataclass(frozen=True)
class Family:
    """A family as rules see it: `words` for people, the fewest signs of it that are unusual, and
    within how many seconds."""

    name: str
    words: str
    least: int
    window: int = 300


FAMILIES: Final = {
    family.name: family
    for family in (
        Family(ERRORS, "stored errors", 5),
        Family(RETRIES, "retries", 10),
        Family(SLOW, "reports of many slow calls", 3),
        Family(SATURATION, "reports of a full bulkhead", 3),
        Family(BREAKER, "changes of a breaker", 1),
        Family(CHECKS, "changes of health checks", 3, 900),
        Family(BURN, "minutes that burn the error budget", 3),
        Family(ANOMALY, "anomalies", 1, 900),
    )
}
# From this share on a gauge is a sign.
SLOW_SHARE: Final = 0.2
FULL_SHARE: Final = 0.8
_EVENTS: Final = {
    "resilience.retry.attempt": RETRIES,
    "resilience.retry.budget_exhausted": f"{RETRIES}:budget exhausted",
    "resilience.breaker.rejected": f"{BREAKER}:rejected",
    "resilience.bulkhead.rejected": f"{SATURATION}:rejected",
    "resilience.bulkhead.breach": f"{SATURATION}:breach",
}


def family_of(kind: str) -> str:
    return kind.partition(":")[0]


def kind_of(family: str, detail: str) -> str:
    """The kind of a sign, not longer than the bound."""
    return storable(f"{family}:{detail}")[:LONGEST_KIND]


def storable(text: str) -> str:
    """The text without what no table holds: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def of_event(name: str, attributes: Mapping[str, Any]) -> str | None:
    """What an event of `resilience.*` is a sign of, if of anything."""
    if name == "resilience.breaker.transition":
        return kind_of(BREAKER, str(attributes.get("resilience.breaker.to_state", "")))
    return _EVENTS.get(name)


def of_gauges(name: str, value: float | None, limit: float | None) -> str | None:
    """What a gauge of `resilience.*` is a sign of; `limit` is that of its bulkhead."""
    if value is None:
        return None
    if name == "resilience.breaker.slow_call_rate" and value >= SLOW_SHARE:
        return SLOW
    if name == "resilience.bulkhead.active" and limit and value >= FULL_SHARE * limit:
        return SATURATION
    return None
