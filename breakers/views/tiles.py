"""Tiles: each breaker prepared as texts and paths, so that two hundred are rendered at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from breakers.choices import BreakerState, OverrideScope, OverrideState
from breakers.domain.aggregate import counted
from breakers.domain.bars import HEIGHT, SLOT, Slice, bars
from breakers.domain.keys import breaker_key
from breakers.selectors.breaker_view import WINDOW_SECONDS, BreakerView, Counts, OverrideView
from resilience_site.core.badges import badge_for
from resilience_site.core.formatting import ABSENT, compact, percent, window
from resilience_site.core.templatetags import ui
from resilience_site.core.templatetags.countdown import countdown

_NO_DATA: Final = "nothing came in"
_WINDOW: Final = window(WINDOW_SECONDS)
_FORCED: Final = frozenset(OverrideState.values)


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
    """A breaker as it is drawn. `body` is most of it: a template that looks up and escapes each of
    its thirty values takes longer than all the rest of a page of two hundred."""

    key: str
    state: str
    tone: str
    badge: SafeString
    body: SafeString
    failed: Share
    slow: Share
    held: Held | None
    pending: str


def tiles(views: Iterable[BreakerView], *, acts: bool) -> list[Tile]:
    """The breakers in their order; `acts` for those who may force them."""
    home = reverse("breakers")
    return [tile(view, home, acts=acts) for view in views]


def tile(view: BreakerView, home: str = "", *, acts: bool = False) -> Tile:
    """One breaker; `home` is the path of all of them."""
    shown = "silent" if view.silent else view.state
    override = view.override
    wait = pending(view, override)
    drawn_badge = badge(shown)
    failed, slow = share(view.failures, view), share(view.slow, view)
    ending = wait if override is None and view.state in _FORCED else ""
    parts = (
        _head(view, f"{home}/{view.key}", drawn_badge, acts),
        _figures(view, failed, slow),
        _facts(view, shown == BreakerState.OPEN, ending),
    )
    return Tile(
        key=view.key,
        state=shown,
        tone=badge_for("breaker", shown).tone,
        badge=drawn_badge,
        body=mark_safe("\n".join(parts)),  # noqa: S308 - what others name is escaped
        failed=failed,
        slow=slow,
        held=held(override) if override else None,
        pending=wait,
    )


def _head(view: BreakerView, href: str, drawn_badge: str, acts: bool) -> str:
    """Which breaker it is, its state, and the way to force it."""
    name, service = escape(view.name), escape(view.service)
    act = (
        f'<a class="button small quiet breaker-act" href="{href}/override" data-dialog>Override'
        f'<span class="visually-hidden"> {name} of {service}</span></a>'
    )
    title = f'<h2><a data-row href="{href}">{name}</a></h2>{drawn_badge}<p>{service}</p>'
    return f'<div class="breaker-head">{title}{act if acts else ""}</div>'


def _figures(view: BreakerView, failed: Share, slow: Share) -> str:
    """What its calls came to."""
    calls = compact(view.calls)
    if view.rejected:
        calls += f", {compact(view.rejected)} rejected"
    mark = ' class="absent"' if failed.absent else ""
    return (
        f'<div class="breaker-figures">{drawn(view.series)}'
        f'<p class="lead"><b{mark}>{escape(failed.text)}</b> failed<small>({failed.basis})</small></p>'
        f"<p><span>Slow</span> {escape(slow.text)} <span>({slow.basis})</span></p>"
        f"<p><span>Calls</span> {calls} <span>({_WINDOW})</span></p></div>"
    )


def _facts(view: BreakerView, is_open: bool, wait: str) -> str:
    """What else to know, if anything; `wait` is how far the end of an override has come."""
    facts = [f"Last heard {ui.ago(view.last_seen)}"] if view.silent else []
    if view.disagrees:
        facts.append(escape(view.disagreement))
    if view.flapping:
        facts.append(view.flapping)
    gone = len(view.instances) - len(view.live)
    if gone and not view.silent:
        facts.append(f"{gone} of {len(view.instances)} instances silent")
    if wait:
        facts.append(wait[0].upper() + wait[1:])
    if is_open and view.next_probe_at:
        facts.append(f"Next probe {countdown(view.next_probe_at)}")
    if is_open:
        facts.append(f"Since {ui.clock(view.since)}")
    if not facts:
        return ""
    return f'<p class="breaker-facts">{"".join(f"<span>{each}</span>" for each in facts)}</p>'


def drawn(series: Sequence[Counts | None]) -> SafeString:
    """The bars of two minutes; all in it are numbers and words of ours."""
    slices = [
        None if each is None else Slice(each.failures, each.calls - each.failures, each.rejected)
        for each in series
    ]
    paths = bars(slices)
    return mark_safe(  # noqa: S308
        f'<svg class="bars" viewBox="0 0 {len(slices) * SLOT} {HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{_drawn_text(slices)}"><path class="ground" d="{paths.ground}"/>'
        f'<path class="failed" d="{paths.failed}"/><path class="passed" d="{paths.passed}"/>'
        f'<path class="rejected" d="{paths.rejected}"/></svg>'
    )


def share(part: int, view: BreakerView) -> Share:
    """A share of the calls in words; `n/a (3 of 10 calls, last 60 s)` under the minimum."""
    if view.calls < view.minimum:
        return Share(ABSENT, f"{compact(view.calls)} of {view.minimum} calls, {_WINDOW}", True)
    counts = f"{compact(part)}/{compact(view.calls)}"
    return Share(percent(part, view.calls), f"{counts}, {_WINDOW}", False)


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


def badge(state: str) -> SafeString:
    """The badge of a state."""
    return ui.badge(badge_for("breaker", state))


def _drawn_text(slices: list[Slice | None]) -> str:
    known = [each for each in slices if each is not None]
    if not known:
        return f"Calls, last 2 min: {_NO_DATA}"
    failed = sum(each.failed for each in known)
    passed = sum(each.passed for each in known)
    rejected = sum(each.rejected for each in known)
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
    named = _WINDOW
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
