"""Healing at a glance: what waits for a person, what runs, what ran, what could be healed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from healing.choices import RunState
from healing.models import HealingRun, HealingSwitch, Opportunity
from healing.selectors.runs import ACTIVE, opportunities_open, run_list
from healing.selectors.switches import quarantine_list, stopped_at, switch_list
from healing.views.learned import WINDOW, learned_list
from healing.views.rows import run_rows
from healing.views.words import Verdict
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import plural
from resilience_site.core.permissions import require_role
from resilience_site.core.screens import is_partial, may_operate

MOST_OPEN: Final = 50
LAST: Final = 15


@require_GET
@require_role(Role.VIEWER)
def home(request: HttpRequest) -> HttpResponse:
    """What waits for a yes first, then what runs, what could be healed, and what was."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    active = list(run_list(state=ACTIVE, dry_run=False)[:MOST_OPEN])
    waiting = [each for each in active if each.state == RunState.WAITING_APPROVAL]
    running = [each for each in active if each.state != RunState.WAITING_APPROVAL]
    over = run_list(dry_run=False).exclude(state__in=[each.state for each in active])
    last = [each for each in over[: LAST + MOST_OPEN] if each.ended_at is not None][:LAST]
    opportunities = list(opportunities_open()[:MOST_OPEN])
    stopped = [each for each in switch_list() if stopped_at(each, now)]
    learned = learned_list(now)
    context = {
        "live_cursor": cursor,
        "now": now,
        "verdict": _verdict(stopped, waiting, running, opportunities),
        "stopped": stopped,
        "waiting": run_rows(waiting, now),
        "running": run_rows(running, now),
        "last": run_rows(last, now),
        "opportunities": opportunities,
        "stopped_all": any(not each.group for each in stopped),
        "quarantined": list(quarantine_list()[:MOST_OPEN]),
        "learned": learned,
        "suggested": [each for each in learned if each.suggestion is not None],
        "learned_note": f"runs that acted, {WINDOW}; a heal that held less than 30 min failed",
        "may_operate": may_operate(request),
    }
    part = "_home" if is_partial(request) else "home"
    return render(request, f"healing/{part}.html", context)


def _verdict(
    stopped: list[HealingSwitch],
    waiting: list[HealingRun],
    running: list[HealingRun],
    opportunities: list[Opportunity],
) -> Verdict:
    everything = next((each for each in stopped if not each.group), None)
    if everything is not None:
        return Verdict(
            "bad", "stop-circle", f"All healing is stopped by {everything.actor}.",
            everything.reason,
        )  # fmt: skip
    if waiting:
        count = len(waiting)
        sentence = f"{plural(count, 'run')} {'waits' if count == 1 else 'wait'} for a yes."
        return Verdict("warn", "hand-raised", sentence, waiting[0].trigger.get("text", ""))
    if running:
        first = running[0]
        return Verdict(
            "info", "wrench", f"{first.service} is being healed by {first.workflow}.",
            f"{plural(len(running), 'run')} at once" if len(running) > 1 else "",
        )  # fmt: skip
    if opportunities:
        sentence = f"{plural(len(opportunities), 'failure')} could be healed, and nothing does it."
        return Verdict("warn", "light-bulb", sentence, "Below stands why, and what would.")
    if stopped:
        return Verdict("warn", "stop-circle", "Healing is stopped for a group of services.")
    return Verdict("ok", "check-circle", "Nothing has to be healed.")
