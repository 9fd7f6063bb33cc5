"""The one sentence that the overview begins with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analytics.selectors.rollups import Figures
from resilience_site.core.formatting import compact, duration, percent

FAILING_RATIO = 0.05
DEGRADED_RATIO = 0.01
# Fewer calls say nothing about a service.
MINIMUM_CALLS = 10
LAG_SECONDS = 30.0
_NAMED = 3


@dataclass(frozen=True)
class Verdict:
    """`sentence` and what it rests on; `tone` is ok, warn, bad or idle."""

    tone: str
    icon: str
    sentence: str
    detail: str


def state_of(figures: Figures | None) -> str:
    """The word for a service by its share of errors."""
    if figures is None or figures.calls == 0:
        return "quiet"
    if figures.calls < MINIMUM_CALLS:
        return "unknown"
    ratio = figures.error_ratio or 0.0
    if ratio > FAILING_RATIO:
        return "failing"
    return "degraded" if ratio > DEGRADED_RATIO else "healthy"


def verdict(
    figures: Mapping[str, Figures],
    errors: int,
    received: int,
    lag: float,
    window: str,
    *,
    redis_answers: bool = True,
) -> Verdict:
    """What to know first, from the figures of a short `window`.

    `errors` and `received` count what was stored in it, calls or not; `lag` is the age in seconds
    of the oldest thing that waits to be processed, which needs Redis.
    """
    late = lag > LAG_SECONDS
    ingest = f"ingest is {duration(lag)} behind" if late else "ingest is current"
    if not redis_answers:
        ingest = "Redis does not answer, so background work waits"
    failing = sorted(
        (name for name, f in figures.items() if state_of(f) == "failing"),
        key=lambda name: (-(figures[name].error_ratio or 0), name),
    )
    calls = sum(f.calls for f in figures.values())
    if failing:
        named = ", ".join(f"{name} {_share(figures[name])}" for name in failing[:_NAMED])
        others = len(failing) - _NAMED
        more = f" and {others} more" if others > 0 else ""
        return Verdict(
            "bad",
            "x-circle",
            f"{_of(len(failing), len(figures))} errors above {FAILING_RATIO * 100:.0f} %",
            f"{named}{more}, {window}; {ingest}",
        )
    if late:
        return Verdict(
            "warn",
            "clock",
            f"The site is {duration(lag)} behind with what it received",
            "chains and background work are late; errors and counts are up to date",
        )
    if not received and not calls:
        return Verdict("idle", "moon", "Nothing was received", f"{window}; {ingest}")
    if calls < MINIMUM_CALLS:
        sentence = f"Too few calls to judge: {calls}"
        return Verdict("idle", "moon", sentence, f"{_errors(errors)}, {window}; {ingest}")
    degraded = sum(state_of(f) == "degraded" for f in figures.values())
    total = sum(f.errors for f in figures.values())
    rate = f"{percent(total, calls)} errors ({compact(total)}/{compact(calls)} calls, {window})"
    if degraded:
        sentence = f"{_of(degraded, len(figures))} errors above {DEGRADED_RATIO * 100:.0f} %"
        return Verdict("warn", "exclamation-triangle", sentence, f"{rate}; {ingest}")
    sentence = "The service works" if len(figures) == 1 else f"All {len(figures)} services work"
    return Verdict("ok", "check-circle", sentence, f"{rate}; {ingest}")


def _of(count: int, whole: int) -> str:
    return f"{count} of {whole} service{'s'[: whole != 1]} {'has' if count == 1 else 'have'}"


def _share(figures: Figures) -> str:
    counts = f"{compact(figures.errors)}/{compact(figures.calls)}"
    return f"{percent(figures.errors, figures.calls)} ({counts})"


def _errors(count: int) -> str:
    return f"{count} error{'s'[: count != 1]}"
