"""What the codes of the library mean, in words for people. Other clients may send other codes,
which keep their own words."""

from __future__ import annotations

from typing import Final

# How calls ended that had a failure (`breakers.runtime.retry`).
RETRY_OUTCOMES: Final = {
    "succeeded": "succeeded",
    "exhausted": "out of attempts",
    "not_retried": "not worth a retry",
    "deadline": "out of time",
    "budget_exhausted": "no retry budget left",
    "request_budget": "no attempt of the request left",
}
CLASSIFICATIONS: Final = {
    "transient": "transient",
    "rate_limited": "rate limited",
    "authentication": "authentication",
    "permanent": "permanent",
    "unknown": "unknown kind",
}
# Why a bulkhead rejects (`breakers.runtime.errors.BulkheadFull`).
REJECTIONS: Final = {
    "queue_full": "queue full",
    "timeout": "no slot in time",
    "shed": "gave way to a higher tier",
    "rate": "over its rate",
    "memory": "over its memory",
    "isolated": "bulkhead isolated",
}
# Where isolation did not hold, and what was done (`breakers.runtime.breaches`).
BREACHES: Final = {
    "slot_overdue": "A call kept its slot too long",
    "leaked_worker": "A thread works for a caller that has left",
    "all_overdue": "More than half of the slots were overdue",
    "queue_saturation": "The queue was nine tenths full",
    "tier_starvation": "A tier waited while another had more than its share",
    "event_loop_lag": "The event loop was late for everything",
}
MITIGATIONS: Final = {
    "reclaim": "Took the slot back",
    "isolate": "Isolated the bulkhead",
    "shed": "Let half of the waiting calls go",
    "shrink": "Made the bulkhead smaller by a quarter",
    "none": "Only told",
}
FALLBACK_SOURCES: Final = {
    "cache": "cache, still fresh",
    "stale_cache": "cache, stale",
    "default": "static default",
}


def word(known: dict[str, str], code: str) -> str:
    """The words for a code; one that nobody has described is shown as it is."""
    return known.get(code) or code.replace("_", " ").strip() or "not stated"


def source_words(source: str) -> str:
    """Where a fallback's answer came from; functions by their name."""
    kind, colon, name = source.partition(":")
    if colon and kind == "fallback":
        return name or "a function"
    return word(FALLBACK_SOURCES, source)
