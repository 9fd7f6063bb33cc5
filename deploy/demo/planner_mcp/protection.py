"""How the planner protects its calls: which breaker, how long, what is served instead, what is off."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import breakers.runtime as resilience
from breakers.runtime import RedisStore, ResponseCache, Tier

P = ParamSpec("P")
R = TypeVar("R")

# As it reports, and as people degrade it.
SERVICE = "planner-mcp-server"
# Off: the planner changes nothing in Graph. People switch it at the site.
WRITES = "planner.write"

GRAPH, CACHE, DATABASE = "microsoft_graph", "redis", "database"

# A tool's answer is worth waiting for so long; an attempt at Graph has its own, shorter time.
TOOL_SECONDS = float(os.environ.get("PLANNER_TOOL_SECONDS", "8"))
# The database holds nothing that is worth more than this: a statement in a lock, or a pool whose
# connections all hang, must not use up the tool's time.
DATABASE_SECONDS = 1.0

TIERS = {
    "premium": Tier(reserved=0.4, weight=4, priority=2),
    "standard": Tier(reserved=0.2, weight=2, priority=1),
    "free": Tier(weight=1, priority=0),
}
CRITICAL, USER, BACKGROUND = "critical_operations", "user_operations", "background_tasks"


def make_pools() -> None:
    """The three pools, shared out among the user tiers."""
    for name in (CRITICAL, USER, BACKGROUND):
        resilience.default().bulkheads.boundary(name, tiers=TIERS)


def in_pool(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run a tool in its pool, within the time that its answer is worth waiting for."""
    return resilience.protect(
        "planner", bulkhead=name, timeout=TOOL_SECONDS, retry=False, breaker=False
    )


def kept_answers(redis_store: RedisStore) -> ResponseCache:
    """Answers of Graph, kept in memory and in Valkey for as long as they may stand in."""
    minutes = resilience.default().variables.fallback_cache_max_age_minutes
    return ResponseCache(stale_if_error=minutes * 60, store=redis_store)
