"""Judges a situation by all guardrails, in their order, up to the first refusal.

A person who starts a run, or who approved it, takes the place of `mode`, `cooldown`, `failed_runs`
and `error_budget`, and may act on a group of which half is unhealthy: that stops automation, not
people. Nothing else gives way to a person: not the kill switch, maintenance, the run that is
already there, quarantine and budget, the bounds of runs at once, the share of the group, and not
the culprit. A variable of the site's configuration that is false does not give way either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from analytics.domain.slos.words import left_words
from healing.domain.budgets import Spent, half_unhealthy, healed_at_once
from healing.domain.definition import Guards
from healing.domain.guardrails import ORDER, Judgement, Verdict
from healing.domain.modes import APPROVE, AUTO, OBSERVE, SUGGEST, most_careful

PASSED: Final = "pass"
REFUSED: Final = "refuse"


@dataclass(frozen=True)
class Stop:
    """The kill switch, thrown: for all (`group` is empty) or for a group, by a person or the site."""

    group: str = ""
    reason: str = ""
    actor: str = ""
    by_site: bool = False


@dataclass(frozen=True)
class OpenRun:
    """The run that holds the target."""

    id: str
    workflow: str
    state: str


@dataclass(frozen=True)
class GroupHealth:
    """The services that limit each other: how many there are, how many of them fail by their own
    probes, and which of the others are being healed."""

    name: str = ""
    size: int = 1
    failing: int = 0
    healing: frozenset[str] = frozenset()
    # A person started automation again though half of it failed.
    released: bool = False


@dataclass(frozen=True)
class Culprit:
    """What makes the target unreachable: a check, and the service that it is of; both are empty
    where the graph no longer tells."""

    check: str
    service: str
    # The check of the target that cannot be reached.
    of: str


@dataclass(frozen=True)
class Situation:
    """All that guardrails go by. `wanted_mode` is empty where whoever starts it has no wish.

    `by_person`: a person starts it or approved it. `cap` is how far variables of the configuration
    let it go, `cap_reason` which one. `quarantined_since` is None for a target that is not.
    `budget_left` is the share of the service's error budget that is left, None where that is not
    known; `failed_in_a_row` counts the last runs of this workflow under its present mode.
    """

    now: datetime
    guards: Guards
    service: str
    target: str
    workflow_mode: str
    enabled: bool = True
    wanted_mode: str = ""
    by_person: bool = False
    cap: str = AUTO
    cap_reason: str = ""
    stop: Stop | None = None
    maintenance: tuple[str, ...] = ()
    open_run: OpenRun | None = None
    last_ended: datetime | None = None
    quarantined_since: datetime | None = None
    quarantine_reason: str = ""
    spent: Spent = field(default_factory=Spent)
    active_of_service: int = 0
    active: int = 0
    group: GroupHealth = field(default_factory=GroupHealth)
    failed_in_a_row: int = 0
    budget_left: float | None = None
    objective: str = ""
    culprit: Culprit | None = None


def judge(situation: Situation) -> Judgement:
    """What guardrails say of it. The mode of the judgement is never more than auto, and only
    lower than the one before it from guardrail to guardrail."""
    mode = mode_allowed(situation)
    verdicts = []
    for name in ORDER:
        verdict = _JUDGES[name](situation)
        verdicts.append(verdict)
        if verdict.ruling == REFUSED:
            break
        if verdict.ruling == APPROVE:
            mode = most_careful(mode, APPROVE)
    return Judgement(tuple(verdicts), mode)


def mode_allowed(situation: Situation) -> str:
    """How far the run may go by mode, wish and configuration alone."""
    wish = situation.wanted_mode or AUTO
    if situation.by_person:
        return most_careful(wish, situation.cap)
    return most_careful(wish, situation.workflow_mode, situation.cap)


def stops_automation(situation: Situation) -> bool:
    """Whether half of the group is unhealthy, and no person said that healing goes on."""
    group = situation.group
    half = half_unhealthy(group.failing, group.size, declared=bool(group.name))
    return half and not group.released


def _said(name: str, ruling: str, reason: str, **facts: Any) -> Verdict:
    return Verdict(name, ruling, reason, facts)


def _kill_switch(situation: Situation) -> Verdict:
    stop = situation.stop
    if stop is None:
        return _said("kill_switch", PASSED, "Healing is switched on.")
    facts = {"group": stop.group, "actor": stop.actor, "by_site": stop.by_site}
    of = f" for the group {stop.group}" if stop.group else ""
    if stop.by_site and situation.by_person:
        return _said(
            "kill_switch", PASSED, f"Automation is stopped{of}; a person may still act.", **facts
        )
    who = "The site stopped automation" if stop.by_site else f"{stop.actor} stopped healing"
    return _said("kill_switch", REFUSED, f"{who}{of}: {stop.reason}", **facts)


def _maintenance(situation: Situation) -> Verdict:
    windows = list(situation.maintenance)
    if windows:
        reason = f"{situation.service} is in maintenance: {', '.join(windows)}."
        return _said("maintenance", REFUSED, reason, windows=windows)
    return _said("maintenance", PASSED, f"{situation.service} is not in maintenance.")


def _mode(situation: Situation) -> Verdict:
    mode = mode_allowed(situation)
    facts = {
        "mode": mode,
        "workflow_mode": situation.workflow_mode,
        "wanted_mode": situation.wanted_mode,
        "cap": situation.cap,
        "cap_reason": situation.cap_reason,
    }
    if not situation.enabled:
        return _said("mode", REFUSED, "The workflow is switched off.", **facts)
    if mode == OBSERVE:
        capped = situation.cap == OBSERVE and situation.cap_reason
        why = f" {situation.cap_reason}" if capped else ""
        return _said("mode", REFUSED, f"Observed only, nothing is done.{why}", **facts)
    if mode == SUGGEST:
        return _said("mode", REFUSED, "Suggested only: a person has to start it.", **facts)
    if mode == APPROVE:
        return _said("mode", APPROVE, "It waits for a person's approval.", **facts)
    if situation.by_person:
        return _said("mode", PASSED, "A person started or approved it.", **facts)
    return _said("mode", PASSED, "The workflow runs by itself.", **facts)


def _target_lock(situation: Situation) -> Verdict:
    found = situation.open_run
    if found is None:
        return _said("target_lock", PASSED, "No other run holds the target.")
    reason = f"The workflow {found.workflow} already has a run on {situation.target}."
    return _said(
        "target_lock", REFUSED, reason, run=found.id, workflow=found.workflow, state=found.state
    )


def _cooldown(situation: Situation) -> Verdict:
    length = situation.guards.cooldown_seconds
    ended = situation.last_ended
    if ended is None:
        return _said("cooldown", PASSED, "No run that counts ended lately.", seconds=length)
    until = ended + timedelta(seconds=length)
    facts = {"seconds": length, "last_ended": ended.isoformat(), "until": until.isoformat()}
    if until <= situation.now:
        return _said("cooldown", PASSED, "The last run ended long enough ago.", **facts)
    left = math.ceil((until - situation.now).total_seconds())
    if situation.by_person:
        return _said("cooldown", PASSED, f"{left} s of cooldown are left; a person acts.", **facts)
    reason = f"The last run on {situation.target} ended lately; {left} s of cooldown are left."
    return _said("cooldown", REFUSED, reason, **facts)


def _target_budget(situation: Situation) -> Verdict:
    guards, used = situation.guards, situation.spent
    facts: Mapping[str, Any] = {
        "hour": used.hour,
        "per_hour": guards.per_hour,
        "day": used.day,
        "per_day": guards.per_day,
    }
    since = situation.quarantined_since
    if since is not None:
        reason = (
            f"{situation.target} is in quarantine since {since:%Y-%m-%d %H:%M} UTC: "
            f"{situation.quarantine_reason}"
        )
        return _said("target_budget", REFUSED, reason, quarantined_since=since.isoformat(), **facts)
    runs = f"{used.hour} of {guards.per_hour} runs an hour, {used.day} of {guards.per_day} a day"
    if used.over(guards.per_hour, guards.per_day):
        return _said("target_budget", REFUSED, f"The budget is used up: {runs}.", **facts)
    return _said("target_budget", PASSED, f"Used: {runs}.", **facts)


def _concurrency(situation: Situation) -> Verdict:
    guards = situation.guards
    of_service, everywhere = situation.active_of_service, situation.active
    facts = {
        "of_service": of_service,
        "per_service": guards.per_service,
        "everywhere": everywhere,
        "at_once": guards.at_once,
    }
    if of_service >= guards.per_service:
        reason = f"Runs on {situation.service} now: {of_service}, at most {guards.per_service}."
        return _said("concurrency", REFUSED, reason, **facts)
    if everywhere >= guards.at_once:
        reason = f"Runs everywhere now: {everywhere}, at most {guards.at_once}."
        return _said("concurrency", REFUSED, reason, **facts)
    return _said("concurrency", PASSED, f"Other runs now: {everywhere}.", **facts)


def _blast_radius(situation: Situation) -> Verdict:
    group = situation.group
    allowed = healed_at_once(group.size, situation.guards.group_share)
    others = sorted(group.healing - {situation.service})
    facts = {
        "group": group.name,
        "size": group.size,
        "failing": group.failing,
        "healing": others,
        "allowed": allowed,
    }
    called = f"the group {group.name}" if group.name else "all services"
    unhealthy = f"{group.failing} of {group.size} services of {called} fail by their own probes"
    if stops_automation(situation) and not situation.by_person:
        return _said("blast_radius", REFUSED, f"{unhealthy}: automation stops.", **facts)
    if len(others) + 1 > allowed:
        reason = (
            f"Of {called} at most {allowed} may be healed at a time; being healed: "
            f"{', '.join(others)}."
        )
        return _said("blast_radius", REFUSED, reason, **facts)
    return _said("blast_radius", PASSED, f"{unhealthy}.", **facts)


def _failed_runs(situation: Situation) -> Verdict:
    failed, most = situation.failed_in_a_row, situation.guards.failures_to_approve
    facts = {"failed_in_a_row": failed, "failures_to_approve": most}
    if failed < most:
        return _said("failed_runs", PASSED, f"Failed runs in a row: {failed}.", **facts)
    told = f"The last {failed} runs of the workflow failed"
    if situation.by_person:
        return _said("failed_runs", PASSED, f"{told}; a person decided to run it.", **facts)
    return _said("failed_runs", APPROVE, f"{told}: only with approval.", **facts)


def _error_budget(situation: Situation) -> Verdict:
    left, least = situation.budget_left, situation.guards.budget_left
    facts = {"left": left, "least": least, "objective": situation.objective}
    if left is None:
        return _said("error_budget", PASSED, "No error budget is known.", **facts)
    told = f"The error budget is {left_words(1 - left)}"
    if left > 0:
        # Rounded down: 9.96 % is not shown as 10.0 %.
        told = f"{math.floor(left * 1000) / 10:.1f} % of the error budget is left"
    if left >= least:
        return _said("error_budget", PASSED, f"{told}.", **facts)
    if situation.by_person:
        return _said("error_budget", PASSED, f"{told}; a person decided to run it.", **facts)
    return _said("error_budget", APPROVE, f"{told}: only with approval.", **facts)


def _culprit(situation: Situation) -> Verdict:
    found = situation.culprit
    if found is None:
        return _said("culprit", PASSED, "Nothing else is to blame.")
    facts = {"check": found.check, "service": found.service, "of": found.of}
    reason = f"{found.of} cannot be reached because something that it needs fails."
    if found.check:
        because = f"because {found.check} fails: heal {found.service}."
        reason = f"{found.of} cannot be reached {because}"
    return _said("culprit", REFUSED, reason, **facts)


_JUDGES: Final[Mapping[str, Callable[[Situation], Verdict]]] = {
    "kill_switch": _kill_switch,
    "maintenance": _maintenance,
    "mode": _mode,
    "target_lock": _target_lock,
    "cooldown": _cooldown,
    "target_budget": _target_budget,
    "concurrency": _concurrency,
    "blast_radius": _blast_radius,
    "failed_runs": _failed_runs,
    "error_budget": _error_budget,
    "culprit": _culprit,
}
