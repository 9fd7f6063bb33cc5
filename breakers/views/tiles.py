"""Tiles: each breaker prepared as texts and paths, so that two hundred are rendered at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from breakers.choices import OverrideScope
from breakers.domain.aggregate import counted
from breakers.domain.bars import Bars, Slice, bars
from breakers.domain.keys import breaker_key
from breakers.selectors.breaker_view import BreakerView, OverrideView
from resilience_site.core.badges import badge_for
from resilience_site.core.formatting import ABSENT, compact, percent, window

_NO_DATA: Final = "nothing came in"


@dataclass(frozen=True, slots=True)
class Share:
    """`4.2 %` and what it rests on: `21/500, last 60 s`."""

    text: str
    basis: str
    absent: bool

    def __str__(self) -> str:
        return f"{self.text} ({self.basis})"


@dataclass(frozen=True, slots=True)
class Held:
    """An override on a tile. `place` says what it covers if that is not the whole breaker, and
    `action`, `instance` are what takes it back."""

    override: OverrideView
    word: str
    icon: str
    place: str
    action: str
    instance: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A breaker as it is drawn."""

    view: BreakerView
    state: str
    tone: str
    badge: SafeString
    failed: Share
    slow: Share
    failed_tone: str
    calls: str
    rejected: str
    drawn: Bars
    drawn_text: str
    disagreement: str
    silent: str
    held: Held | None
    pending: str


def tiles(views: Iterable[BreakerView]) -> list[Tile]:
    """The breakers in their order."""
    return [tile(view) for view in views]


def tile(view: BreakerView) -> Tile:
    """One breaker."""
    shown = "silent" if view.silent else view.state
    slices = [
        None if each is None else Slice(each.failures, each.calls - each.failures, each.rejected)
        for each in view.series
    ]
    gone = len(view.instances) - len(view.live)
    return Tile(
        view=view,
        state=shown,
        tone=badge_for("breaker", shown).tone,
        badge=badge(shown),
        failed=share(view.failures, view),
        slow=share(view.slow, view),
        failed_tone="bad" if view.failures and view.failure_rate is not None else "",
        calls=compact(view.calls),
        rejected=compact(view.rejected) if view.rejected else "",
        drawn=bars(slices),
        drawn_text=_drawn_text(slices),
        disagreement=view.disagreement,
        silent="" if view.silent or not gone else f"{gone} of {len(view.instances)} silent",
        held=held(view.override) if view.override else None,
        pending=pending(view, view.override),
    )


def share(part: int, view: BreakerView) -> Share:
    """A share of the calls in words; `n/a (3 of 10 calls, last 60 s)` under the minimum."""
    named = window(view.window_seconds)
    if view.calls < view.minimum:
        return Share(ABSENT, f"{compact(view.calls)} of {view.minimum} calls, {named}", True)
    counts = f"{compact(part)}/{compact(view.calls)}"
    return Share(percent(part, view.calls), f"{counts}, {named}", False)


def held(override: OverrideView) -> Held:
    """An override in words."""
    shown = badge_for("breaker", override.state)
    if override.scope == OverrideScope.DOMAIN:
        action = reverse("domain-override", args=[override.domain])
        place = f"domain {override.domain}"
    else:
        key = breaker_key(override.service, override.name)
        action = reverse("breaker-override", args=[key])
        place = f"instance {override.instance}" if override.instance else ""
    return Held(override, shown.word, shown.icon, place, action, override.instance)


def pending(view: BreakerView, override: OverrideView | None) -> str:
    """How far the control document has come, where it is not everywhere or somebody waits for it.

    Says nothing of services that were never told anything, or that never ask.
    """
    asked = any(each.applied_version is not None for each in view.live)
    if not view.version or not (override or asked):
        return ""
    done, of = view.applied(override)
    if of and done == of:
        return applied_text(done, of) if override else ""
    return f"requested, {applied_text(done, of)}"


def applied_text(done: int, of: int) -> str:
    """`applied on 2 of 3 instances`."""
    if not of:
        return "no instance is there to apply it"
    return f"applied on {done} of {of} instance{'s'[: of != 1]}"


@lru_cache(maxsize=64)
def badge(state: str) -> SafeString:
    """The badge of a state, rendered once."""
    return render_to_string("components/badge.html", {"badge": badge_for("breaker", state)})


def _drawn_text(slices: list[Slice | None]) -> str:
    known = [each for each in slices if each is not None]
    if not known:
        return f"Calls, last 2 min: {_NO_DATA}"
    failed, passed, rejected = map(sum, zip(*known, strict=True))
    text = f"Calls, last 2 min: {failed + passed} made, {failed} failed, {rejected} rejected"
    gaps = len(slices) - len(known)
    return f"{text}; {_NO_DATA} for {gaps * 10} s" if gaps else text


@dataclass(frozen=True, slots=True)
class Summary:
    """The sentence above the tiles."""

    tone: str
    icon: str
    sentence: str
    detail: str


def summary(views: list[BreakerView]) -> Summary:
    """What to know first of these breakers."""
    states = dict(counted("silent" if view.silent else view.state for view in views))
    rejecting = states.get("open", 0) + states.get("forced_open", 0)
    calls = sum(view.calls for view in views)
    failed = sum(view.failures for view in views)
    rejected = sum(view.rejected for view in views)
    overridden = sum(view.override is not None for view in views)
    split = sum(view.disagrees and not view.silent for view in views)
    named = window(60)
    parts = [
        f"{percent(failed, calls)} of calls failed ({compact(failed)}/{compact(calls)}, {named})"
    ]
    parts += [f"{compact(rejected)} rejected"] if rejected else []
    parts += [f"{overridden} overridden by people"] if overridden else []
    parts += [f"{split} with instances that disagree"] if split else []
    parts += [f"{states['silent']} silent"] if states.get("silent") else []
    detail = "; ".join(parts)
    if rejecting:
        verb = "rejects" if rejecting == 1 else "reject"
        sentence = f"{rejecting} of {len(views)} breakers {verb} calls"
        return Summary("bad", "x-circle", sentence, detail)
    if states.get("half_open"):
        count = states["half_open"]
        sentence = f"{count} of {len(views)} breakers {'probes' if count == 1 else 'probe'}"
        return Summary("warn", "beaker", sentence, detail)
    if states.get("silent") == len(views):
        return Summary("idle", "signal-slash", "All breakers are silent", detail)
    sentence = "The breaker lets calls pass" if len(views) == 1 else "No breaker rejects calls"
    return Summary("ok", "check-circle", sentence, detail)
