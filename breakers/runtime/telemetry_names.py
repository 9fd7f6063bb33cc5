"""Every event and metric of the library: one table, which TELEMETRY.md shows."""

from __future__ import annotations

from typing import NamedTuple


class Signal(NamedTuple):
    """An event (a log record with this `event_name`) or a metric, and its attributes.

    An event is counted as well: the metric of the same name has those attributes that are `keys`.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    keys: tuple[str, ...]
    more: tuple[str, ...] = ()


_BREAKER, _RETRY = "resilience.breaker", "resilience.retry"
_BULKHEAD, _FALLBACK = "resilience.bulkhead", "resilience.fallback"
_HEALING = "resilience.healing"
DEPENDENCY = "resilience.dependency"

SIGNALS = (
    Signal(
        f"{_BREAKER}.transition", "event", "1",
        "A breaker changed its state; retry_after: seconds until its first probe, where it opened",
        (f"{_BREAKER}.name", f"{_BREAKER}.from_state", f"{_BREAKER}.to_state"),
        (
            f"{_BREAKER}.reason", f"{_BREAKER}.failure_rate", f"{_BREAKER}.calls",
            f"{_BREAKER}.retry_after",
        ),
    ),
    Signal(
        f"{_BREAKER}.rate_exceeded", "event", "1",
        "A breaker in the state metrics_only would have opened",
        (f"{_BREAKER}.name", f"{_BREAKER}.from_state", f"{_BREAKER}.to_state"),
        (f"{_BREAKER}.reason", f"{_BREAKER}.failure_rate", f"{_BREAKER}.calls"),
    ),
    Signal(
        f"{_BREAKER}.rejected", "event", "1",
        "Calls that a breaker rejected, at most one record a second and breaker",
        (f"{_BREAKER}.name",), (f"{_BREAKER}.count",),
    ),
    Signal(
        f"{_BREAKER}.configured", "event", "1",
        "What a breaker works by, as a JSON object, and the failure domains that hold it, separated "
        "by commas: when a connection opens, and at each change",
        (f"{_BREAKER}.name",), (f"{_BREAKER}.policy", f"{_BREAKER}.domains"),
    ),
    Signal(
        f"{_BREAKER}.outcomes", "event", "1",
        "What happened to a breaker since the last record, call by call, so that it can be "
        "replayed; at most one record a second and breaker. The batch is written and read by "
        "`breakers.runtime.outcomes`",
        (f"{_BREAKER}.name",), (f"{_BREAKER}.batch",),
    ),
    Signal(
        f"{_RETRY}.attempt", "event", "1", "A failed attempt, or the end of a call that had one",
        (DEPENDENCY, f"{_RETRY}.outcome", f"{_RETRY}.classification"),
        (f"{_RETRY}.attempt", f"{_RETRY}.delay_ms"),
    ),
    Signal(
        f"{_RETRY}.budget_exhausted", "event", "1", "A retry that the budget did not allow",
        (DEPENDENCY,),
    ),
    Signal(
        f"{_FALLBACK}.served", "event", "1", "An answer in place of one that failed",
        (DEPENDENCY, f"{_FALLBACK}.source"), (f"{_FALLBACK}.age_seconds",),
    ),
    Signal(
        f"{_BULKHEAD}.rejected", "event", "1",
        "Calls that a bulkhead rejected, at most one record a second, bulkhead, tier and reason",
        (f"{_BULKHEAD}.name", f"{_BULKHEAD}.tier", f"{_BULKHEAD}.reason"), (f"{_BULKHEAD}.count",),
    ),
    Signal(
        f"{_BULKHEAD}.breach", "event", "1", "A bulkhead that does not isolate, and what was done",
        (f"{_BULKHEAD}.name", f"{_BULKHEAD}.kind", f"{_BULKHEAD}.mitigation"),
    ),
    Signal(
        "resilience.degraded.changed", "event", "1", "A service runs at another level",
        ("resilience.degraded.service", "resilience.degraded.level"),
    ),
    Signal(
        f"{_HEALING}.reported", "event", "1", "How a command of the site ended in this process",
        (f"{_HEALING}.outcome",), ("resilience.command.id", f"{_HEALING}.output"),
    ),
    Signal(
        f"{_BREAKER}.calls", "histogram", "s", "Calls by outcome, with their durations",
        (f"{_BREAKER}.name", f"{_BREAKER}.outcome"),
    ),
    Signal(
        f"{_BREAKER}.failure_rate", "gauge", "1", "Share of failures among the last calls",
        (f"{_BREAKER}.name",),
    ),
    Signal(
        f"{_BREAKER}.slow_call_rate", "gauge", "1", "Share of slow calls among the last calls",
        (f"{_BREAKER}.name",),
    ),
    Signal(
        f"{_BREAKER}.state", "gauge", "1", "1 for the state that a breaker is in",
        (f"{_BREAKER}.name", f"{_BREAKER}.state"),
    ),
    Signal(
        f"{_BREAKER}.slow_calls", "counter", "{call}",
        "Calls that took slow_call_duration_threshold or longer", (f"{_BREAKER}.name",),
    ),
    Signal(
        f"{_RETRY}.window_calls", "gauge", "{call}", "Calls in the last minute", (DEPENDENCY,),
    ),
    Signal(
        f"{_RETRY}.window_retries", "gauge", "{call}",
        "Retries in the last minute that the budget gave", (DEPENDENCY,),
    ),
    Signal(
        f"{_RETRY}.budget_left", "gauge", "{call}", "Retries that the budget has left now",
        (DEPENDENCY,),
    ),
    Signal(
        f"{_BULKHEAD}.active", "gauge", "{call}", "Calls that run in a bulkhead",
        (f"{_BULKHEAD}.name",),
    ),
    Signal(
        f"{_BULKHEAD}.queued", "gauge", "{call}", "Calls that wait before a bulkhead",
        (f"{_BULKHEAD}.name",),
    ),
    Signal(
        f"{_BULKHEAD}.limit", "gauge", "{call}", "Calls that a bulkhead lets run at once",
        (f"{_BULKHEAD}.name",),
    ),
    Signal(
        "resilience.telemetry.dropped", "counter", "1",
        "Events, log records and spans that were dropped, oldest first, because they came faster "
        "than they were sent or the site was away for too long, and those that it refused", (),
    ),
)  # fmt: skip
EVENTS = {each.name: each for each in SIGNALS if each.kind == "event"}
LASTING = frozenset(
    {
        f"{_BREAKER}.transition", f"{_BREAKER}.rate_exceeded", f"{_BREAKER}.configured",
        f"{_BULKHEAD}.breach", "resilience.degraded.changed", f"{_HEALING}.reported",
    }
)  # fmt: skip
"""Events that are few and that people read long afterwards: no other telemetry pushes them out."""


def markdown() -> str:
    """The table as Markdown."""
    lines = ["| name | kind | unit | attributes | meaning |", "|---|---|---|---|---|"]
    for each in SIGNALS:
        keys = ", ".join(f"`{key}`" for key in each.keys)
        more = ", ".join(f"`{key}`" for key in each.more)
        both = f"{keys}; event only: {more}" if more else keys
        lines.append(f"| `{each.name}` | {each.kind} | {each.unit} | {both} | {each.meaning} |")
    return "\n".join(lines)
