"""The sentence that the page of a breaker begins with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from breakers.choices import BreakerState
from breakers.selectors.breaker_view import BreakerView
from breakers.views.tiles import share
from resilience_site.core.badges import badge_for
from resilience_site.core.breaker_reasons import reason_words

_SENTENCES = {
    BreakerState.CLOSED: "It lets calls pass",
    BreakerState.OPEN: "It rejects calls",
    BreakerState.HALF_OPEN: "It lets a few calls through to see whether the dependency is back",
    BreakerState.FORCED_OPEN: "It rejects every call, because a person or the site says so",
    BreakerState.FORCED_CLOSED: "It lets every call pass, whatever fails, and counts",
    BreakerState.DISABLED: "It lets every call pass and counts nothing",
    BreakerState.METRICS_ONLY: "It counts and reports, and rejects nothing",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`since` is when that began; `probe` when calls are let through again, if that is known."""

    tone: str
    icon: str
    sentence: str
    detail: str
    since: datetime
    probe: datetime | None


def verdict(view: BreakerView) -> Verdict:
    """What to know first of a breaker."""
    if view.silent:
        shown = badge_for("breaker", "silent")
        last = badge_for("breaker", view.state).word.lower()
        return Verdict(
            shown.tone,
            shown.icon,
            "Nothing has been heard of it",
            f"its state was {last} when its last instance fell silent",
            view.last_seen,
            None,
        )
    shown = badge_for("breaker", view.state)
    sentence = _SENTENCES.get(BreakerState(view.state), shown.word)
    if view.disagrees:
        own = dict(view.counts)[view.state]
        sentence += f" in {own} of {len(view.live)} instances"
    failed = share(view.failures, view)
    parts = [f"{failed.text} failed ({failed.basis})"]
    if view.rejected:
        parts.append(f"{view.rejected:,} calls rejected in the last 60 s")
    if view.flapping:
        parts.insert(0, view.flapping[0].lower() + view.flapping[1:])
    if view.reason and view.state != BreakerState.CLOSED:
        parts.insert(0, f"reason: {reason_words(view.reason)}")
    probe = view.next_probe_at if view.state == BreakerState.OPEN else None
    return Verdict(shown.tone, shown.icon, sentence, "; ".join(parts), view.since, probe)
