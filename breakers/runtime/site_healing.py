"""Healing by the site: what it could do, its runs, whether they held, and their undoing.

An answer that is not as documented counts as none (`SiteSilent`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from breakers.runtime.error_events import ErrorPattern
from breakers.runtime.healing_types import HealingResult, HealingWorkflow, Outcome
from breakers.runtime.site_answers import as_documented
from breakers.runtime.site_reader import SiteReader, SiteRefused, SiteSilent

# Seconds between two looks at a run; short at first, as most runs are.
_FIRST_LOOK = 0.25
_LONGEST_LOOK = 2.0
_OUTCOMES: dict[str, Outcome] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "rolled_back": "rolled_back",
    "escalated": "escalated",
    "cancelled": "cancelled",
}


async def opportunities(
    reader: SiteReader, pattern: ErrorPattern
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The workflows that answer to errors of this type in this service, and the ids of what waits
    to be healed there now. Raises SiteSilent."""
    service = pattern.service or reader.service
    asked = {"service": service, "type": pattern.type}
    workflows = await reader.get("healing/workflows", **asked)
    waiting = await reader.get("healing/opportunities", **asked)
    if workflows is None or waiting is None:
        raise SiteSilent(f"{reader.url} knows no healing")
    with as_documented("healing"):
        return (
            tuple(each["name"] for each in workflows["items"]),
            tuple(str(each["id"]) for each in waiting["items"]),
        )


async def run(
    reader: SiteReader, workflow: HealingWorkflow, clock: Callable[[], float]
) -> Mapping[str, Any]:
    """Start a run and follow it until it is over, waits for a person, or its time is up; returns it
    as it stood last. Raises SiteRefused and SiteSilent."""
    until = clock() + workflow.timeout
    body = {
        "workflow": workflow.name,
        "target": workflow.target or reader.service,
        "reason": workflow.reason or f"asked for by {reader.service}",
        "dry_run": workflow.dry_run,
        **({"mode": workflow.mode} if workflow.mode else {}),
    }
    return await _followed(reader, await reader.post("healing/runs", body), until, clock)


async def _followed(
    reader: SiteReader, found: Mapping[str, Any], until: float, clock: Callable[[], float]
) -> Mapping[str, Any]:
    """A run as it stands once it is over, waits for a person, or `until` has come."""
    pause = _FIRST_LOOK
    while _field(found, "state") in ("pending", "running", "verifying") and clock() < until:
        await asyncio.sleep(min(pause, max(0.0, until - clock())))
        pause = min(2 * pause, _LONGEST_LOOK)
        try:
            found = await reader.get(f"healing/runs/{_field(found, 'id')}") or found
        except SiteSilent:
            # A site that is busy healing itself is asked again until the time is up.
            continue
    return found


def result(workflow: HealingWorkflow, run: Mapping[str, Any], elapsed: float) -> HealingResult:
    """How a run of the site ended. Raises SiteSilent."""
    with as_documented("a healing run"):
        steps = run["steps"]
        outcome = _OUTCOMES.get(run["state"], "waiting")
        done = [each for each in steps if each["state"] == "succeeded"]
        failed = [each for each in steps if each["state"] == "failed"]
        error = "" if outcome == "succeeded" else str(run.get("outcome") or run["state"])
        return HealingResult(
            workflow.name,
            outcome,
            tuple(each["action"] for each in done),
            failed[-1]["action"] if failed else "",
            error,
            elapsed,
            (steps[-1] if workflow.dry_run else (done or steps)[-1])["output"] if steps else None,
            run_id=str(run["id"]),
            source="site",
        )


def refused(workflow: HealingWorkflow, refusal: SiteRefused, elapsed: float) -> HealingResult:
    """A run that the site did not begin: by a guardrail, or because it could not be."""
    guardrail = refusal.problem.get("guardrail")
    return HealingResult(
        workflow.name,
        "refused" if guardrail else "failed",
        (),
        str(guardrail or ""),
        str(refusal),
        elapsed,
        run_id=str(refusal.problem.get("run") or ""),
        source="site",
    )


async def verified(reader: SiteReader, run_id: str) -> bool:
    """Whether what the run was for is well now. Raises SiteRefused and SiteSilent."""
    return _field(await reader.post(f"healing/runs/{run_id}/verify", {}), "verified") is True


async def rolled_back(
    reader: SiteReader, run_id: str, seconds: float, clock: Callable[[], float]
) -> tuple[bool, str]:
    """Whether the site has undone the run within so many seconds, and if not, why. Raises
    SiteRefused and SiteSilent."""
    until = clock() + seconds
    asked = await reader.post(
        f"healing/runs/{run_id}/rollback", {"reason": f"asked for by {reader.service}"}
    )
    found = await _followed(reader, asked, until, clock)
    state = _field(found, "state")
    if state == "rolled_back":
        return True, ""
    return False, str(found.get("outcome") or f"the run is {state}")


def _field(found: Mapping[str, Any], name: str) -> Any:
    with as_documented("a healing run"):
        return found[name]
