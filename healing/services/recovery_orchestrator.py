"""The recovery orchestrator: the door to runs of workflows.

`run_start(*, workflow, subject, actor, reason="", role=None, mode=None, dry_run=False,
opportunity=None, now=None) -> HealingRun`
    Judges guardrails and begins a run. A person (an actor that is no system) needs the role
    operator and a reason; by starting it they approve it, unless `mode` is `approve` (or
    `suggest`); with `observe` it is a dry run. The site (role None, `Actor.system`) goes as far as
    the lesser of the workflow's mode, `mode` and what guardrails allow: `auto` begins, `approve`
    waits for a yes, anything less is refused by `mode`. A refusal leaves a cancelled run with
    `refused_by`: people get `Refused` (409 with `guardrail`, `reason`, `run`), the site gets that
    run back, one an opportunity however often it asks. A run that comes of an opportunity makes it
    `taken`. A dry run is advanced like any other, ends `succeeded`, tells each step's exact effect
    in `step.output`, and `refused_by` names what would have refused it.
`run_approve(*, run_id, reason="", actor, role, now=None)`, `run_refuse(*, run_id, reason, …)`,
`run_cancel(…)`, `run_rollback(…)`, `run_verify(*, run_id, reason="", …) -> HealingRun`
    What people do to runs; raise `Forbidden`, `Invalid`, `NotFound` and `NotNow` (409). `run_verify`
    of a run that is over tells how its target stands now in `evidence["verified"]`.
`run_look(run_id, *, now=utc_now) -> bool`
    Advances a run as far as it goes now; False where another worker does, or nothing is to be done.
`runs_due(now) -> list[UUID]`, `runs_reap(now) -> list[UUID]`, `runs_audit(now) -> list[UUID]`
    What is due, what nobody approved in time, and what was due and was not looked at.

How runs end is told in `healing.domain.machine`.
"""

from __future__ import annotations

from healing.services.runs.acts import (
    run_approve,
    run_cancel,
    run_refuse,
    run_rollback,
    run_verify,
)
from healing.services.runs.auditor import runs_audit
from healing.services.runs.leases import runs_due
from healing.services.runs.reaper import runs_reap
from healing.services.runs.recovery import run_look
from healing.services.runs.refusals import NotNow, Refused
from healing.services.runs.starting import run_start

__all__ = [
    "NotNow",
    "Refused",
    "run_approve",
    "run_cancel",
    "run_look",
    "run_refuse",
    "run_rollback",
    "run_start",
    "run_verify",
    "runs_audit",
    "runs_due",
    "runs_reap",
]
