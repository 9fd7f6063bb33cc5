"""Verification: whether the target is well again, by its proof and by what stands next to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from healing.domain.definition import Definition
from healing.models import HealingRun
from healing.services.runs.proofs import Finding, Proof, proof_look, proof_of
from healing.services.runs.standing import neighbours_failing
from health.models import CheckStatus
from health.services.reprobes import reprobe
from resilience_site.config import config

# Checks run every other second at first; later they are hurried before their hurry is over.
_YOUNG: Final = timedelta(seconds=30)
_HURRIED: Final = timedelta(seconds=2)
_HURRY_LEFT: Final = timedelta(seconds=10)


def verification_seconds(definition: Definition) -> float:
    """How long a verification may take."""
    wanted = definition.verification
    if definition.strategy == "ladder":
        return wanted.rung_seconds
    return wanted.timeout_seconds or config.healing_verification_timeout


def verification_begin(run: HealingRun, now: datetime) -> Proof:
    """Have everything that tells how the target is looked at soon; returns what does."""
    proof = proof_of(run, now)
    reprobe(check_ids=_telling(run, proof), now=now)
    return proof


def target_look(
    run: HealingRun,
    definition: Definition,
    since: datetime,
    now: datetime,
    *,
    passed: int | None = None,
) -> Finding:
    """How the target is, by what was seen after `since`. `passed`: looks in a row that found it
    well, if not those of the run."""
    wanted = definition.verification
    proof = proof_of(run, now)
    hurry(_telling(run, proof), since, now)
    found = proof_look(
        run,
        proof,
        needed=wanted.passes,
        passed=run.passes if passed is None else passed,
        since=since,
        now=now,
    )
    found = replace(found, evidence={"proof": proof.words, "by": proof.kind, **found.evidence})
    if not wanted.neighbours:
        return found
    failing = neighbours_failing(run.service)
    known = {str(each) for each in run.failing_before} | {str(run.check_id)}
    known |= {str(each) for each in proof.checks}
    newly = {str(key): name for key, name in failing.items() if str(key) not in known}
    if not newly:
        return found
    names = ", ".join(sorted(newly.values()))
    return Finding(
        False,
        f"{found.text}; since the run began, {names} fails",
        found.passes,
        {**found.evidence, "newly_failing": sorted(newly.values())},
    )


def _telling(run: HealingRun, proof: Proof) -> list[UUID]:
    """The checks that tell how the target is."""
    return list({*proof.checks, *neighbours_failing(run.service)})


def hurry(checks: Collection[UUID], since: datetime, now: datetime) -> None:
    """Have checks run soon: in the first seconds, in which most heals show, more often than by
    themselves, and later as often as on suspicion."""
    rows = CheckStatus.objects.filter(pk__in=checks, next_due_at__isnull=False)
    if now - since < _YOUNG:
        rows = rows.exclude(last_run_at__gt=now - _HURRIED)
    else:
        rows = rows.exclude(suspected_until__gt=now + _HURRY_LEFT)
    reprobe(check_ids=list(rows.values_list("pk", flat=True)), now=now)
