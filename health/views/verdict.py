"""The sentence that the health screen begins with, and the overview's line. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from health.choices import HealthState
from health.domain.score import WEIGHTY
from health.models import Check
from health.selectors.checks import PAUSED
from resilience_site.core.badges import badge_for

_NAMED = 3
_REST = (
    HealthState.DEGRADED,
    HealthState.UNKNOWN,
    HealthState.MAINTENANCE,
)


@dataclass(frozen=True)
class Verdict:
    """`sentence` and what it rests on; `culprits` are the checks that explain the rest."""

    tone: str
    icon: str
    sentence: str
    detail: str
    culprits: Sequence[Check] = ()


def verdict(counts: Mapping[str, int], culprits: Sequence[Check], overall: str) -> Verdict:
    """What to know first of all checks: `counts` by state, the checks that are down by
    themselves, the most important first, and the state of the whole, which sets the tone."""
    whole = sum(count for state, count in counts.items() if state != PAUSED)
    down = counts.get(HealthState.DOWN, 0)
    unreachable = counts.get(HealthState.UNREACHABLE, 0)
    detail = _detail(counts, whole)
    if down:
        named = ", ".join(check.name for check in culprits[:_NAMED])
        more = f" and {down - _NAMED:,} more" if down > _NAMED else ""
        verb = "is" if down == 1 else "are"
        return _of(overall, f"{named}{more} {verb} down", detail, culprits[:_NAMED])
    if unreachable:
        # Their culprit is in maintenance.
        return _of(overall, f"{_some(unreachable, whole)} unreachable", detail)
    degraded = counts.get(HealthState.DEGRADED, 0)
    if degraded:
        return _of(overall, f"{_some(degraded, whole)} degraded", detail)
    up = counts.get(HealthState.UP, 0)
    if up:
        waiting = counts.get(HealthState.UNKNOWN, 0) + counts.get(HealthState.MAINTENANCE, 0)
        if waiting:
            return _of(HealthState.UP, "Everything that is known works", detail)
        return _of(HealthState.UP, "The check passes" if whole == 1 else "All checks pass", detail)
    if counts.get(HealthState.MAINTENANCE, 0):
        return _of(HealthState.MAINTENANCE, "Everything is in maintenance", detail)
    return _of(HealthState.UNKNOWN, "Nothing is known yet", detail)


def brief(counts: Mapping[str, int], culprits: Sequence[Check]) -> Verdict | None:
    """The same for a page about more than checks, by the checks alone; None without any."""
    if not counts:
        return None
    if any(c.critical and c.service.criticality in WEIGHTY for c in culprits):
        return verdict(counts, culprits, HealthState.DOWN)
    return verdict(counts, culprits, HealthState.DEGRADED)


def _of(state: str, sentence: str, detail: str, culprits: Sequence[Check] = ()) -> Verdict:
    badge = badge_for("health", state)
    return Verdict(badge.tone, badge.icon, sentence, detail, culprits)


def _some(count: int, whole: int) -> str:
    return f"{count:,} of {whole:,} check{'s'[: whole != 1]} {'is' if count == 1 else 'are'}"


def _detail(counts: Mapping[str, int], whole: int) -> str:
    up, unreachable = counts.get(HealthState.UP, 0), counts.get(HealthState.UNREACHABLE, 0)
    parts = [f"{up:,} of {whole:,} up"]
    if unreachable:
        parts.append(f"{unreachable:,} unreachable because of what they need")
    for state in _REST:
        if counts.get(state):
            word = badge_for("health", state).word.lower()
            parts.append(f"{counts[state]:,} {'in ' * (state == HealthState.MAINTENANCE)}{word}")
    if counts.get(PAUSED):
        parts.append(f"{counts[PAUSED]:,} paused")
    return "; ".join(parts)
