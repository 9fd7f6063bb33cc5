"""Why a breaker changed its state, in words for people: for every app that tells of transitions."""

from __future__ import annotations

from typing import Final

# What the runtime gives as the reason of a transition.
_REASONS: Final = {
    "failure_threshold": "too many failures in a row",
    "failure_rate": "too large a share of failures",
    "slow_call_rate": "too large a share of slow calls",
    "timeout": "the open time was over",
    "probes_overdue": "the probes took too long",
    "recovered": "the probes succeeded",
    "reset": "reset",
    "forced_open": "forced open",
    "forced_closed": "forced closed",
    "disabled": "disabled",
    "metrics_only": "set to metrics only",
}


# The same reasons where probes were judged: one in a row is enough there.
_OF_PROBES: Final = {
    "failure_threshold": "a probe failed",
    "failure_rate": "too large a share of failed probes",
    "slow_call_rate": "too large a share of slow probes",
}


def reason_words(reason: str, from_state: str = "") -> str:
    """The reason of a transition for people; one that nobody has described keeps its own words."""
    if from_state == "half_open" and reason in _OF_PROBES:
        return _OF_PROBES[reason]
    return _REASONS.get(reason, reason)
