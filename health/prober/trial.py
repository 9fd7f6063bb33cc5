"""A single run of a check that is not stored, so that people see what it finds before they save it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from django.db import transaction

from health.choices import RunCause
from health.domain.schedule import Pace
from health.domain.state import OwnState, Thresholds
from health.models import Check
from health.prober.probes import members_now, probe_of
from health.prober.process import Ran, make_runner
from health.prober.running import Probe
from health.services.check_fields import fields_read, pace_check
from health.services.claims import Claim
from health.services.hosts import hosts_judge
from health.services.results import Result
from health.services.targets import kind_named, target_read
from resilience_site.config import config
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.problems import Invalid

# Somebody waits for it in front of a form.
LONGEST: Final = 30.0  # seconds


def try_once(
    *,
    kind: Any,
    target: Any,
    interval_seconds: Any = None,
    timeout_seconds: Any = None,
    degraded_above_ms: Any = None,
    actor: Actor,
    now: datetime,
) -> Ran:
    """Run once what would be saved, for at most 30 s; the audit trail alone keeps that it ran.

    Secrets must not be masked. Raises `Invalid` as saving would, and where a variable of the target
    is not set in this process.
    """
    with refusals_audited(actor=actor, action="check.try", object_type="check", object_id=kind):
        check = _check(kind, target, interval_seconds, timeout_seconds, degraded_above_ms)
        probe = probe_of(check)
        if isinstance(probe, str):
            raise Invalid.field("target", f"It cannot be tried here: {probe}.")
    with transaction.atomic():
        audit_record(
            actor=actor,
            action="check.try",
            object_type="check",
            object_id=check.kind,
            after={"target": check.target},
        )
    result = _run(check, probe, now)
    return Ran(
        check.id,
        result.started_at,
        result.status,
        result.output,
        result.latency_ms,
        result.observed,
    )


def _check(
    kind: Any,
    target: Any,
    interval: Any,
    timeout: Any,
    degraded: Any,
) -> Check:
    """The check to be, as it would be stored."""
    found = kind_named(kind)
    usual = config.health_check_interval_seconds
    given = {"interval_seconds": usual if interval is None else interval}
    if timeout is not None:
        given["timeout_seconds"] = timeout
    fields = fields_read({**given, "degraded_above_ms": degraded})
    most = min(config.health_check_timeout_seconds, fields["interval_seconds"])
    fields.setdefault("timeout_seconds", most)
    pace_check(fields["interval_seconds"], fields["timeout_seconds"])
    read = target_read(found, target)
    if read.options is not None:
        hosts_judge(found, read.options)
    fields["timeout_seconds"] = min(fields["timeout_seconds"], LONGEST)
    return Check(
        id=uuid4(), kind=found.name, target=read.shown, sealed_target=read.sealed, **fields
    )


def _run(check: Check, probe: Probe, now: datetime) -> Result:
    claim = Claim(
        check_id=check.id,
        fence=0,
        version=0,
        name=f"a trial of {check.kind}",
        service="",
        kind=check.kind,
        enabled=True,
        due_at=now,
        pace=Pace(check.interval_seconds, check.timeout_seconds, 1),
        thresholds=Thresholds(1, 1),
        degraded_above_ms=check.degraded_above_ms,
        own=OwnState("unknown", now),
        suspected_until=None,
        memory={},
        pushed_at=None,
        pushed_status="",
        pushed_output="",
    )
    members = members_now([probe]).get(probe.question, ())

    async def run() -> Result:
        return await make_runner().run(claim, probe, members=members, cause=RunCause.MANUAL)

    return asyncio.run(run())
