"""The prober of this process, and single runs for people who do not want to wait for their turn."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from health.checks.addresses import Addresses
from health.choices import ResultStatus, RunCause
from health.models import Check, CheckResult
from health.prober.connectivity import connectivity
from health.prober.prober import Prober
from health.prober.probes import Probes
from health.prober.running import Runner
from health.services.claims import Claim, claim_one, release
from health.services.results import Result, results_record
from resilience_site.config import config
from resilience_site.core.problems import NotFound, Unavailable

# Beyond its timeout, what a run elsewhere may take until its result can be read.
_WRITING_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.1

# Reentrant: Celery stops the prober within a signal handler, which may come upon its start.
_lock = threading.RLock()
_prober: Prober | None = None
_ended = False


def _forget() -> None:
    """Threads do not survive a fork; the prober is its parent's."""
    global _lock, _prober
    _lock, _prober = threading.RLock(), None


os.register_at_fork(after_in_child=_forget)


@dataclass(frozen=True)
class Ran:
    """What a run found; `status` is of `ResultStatus`."""

    check_id: UUID
    started_at: datetime
    status: str
    output: str
    latency_ms: float | None
    observed: dict[str, Any]


def keep_probing() -> None:
    """See to it that this process probes; it goes on until `stop_probing`. Does nothing after
    `end_probing`."""
    global _prober
    with _lock:
        if _ended:
            return
        if _prober is None:
            _prober = Prober(runner=make_runner, concurrency=config.resilience_check_concurrency)
        _prober.start()


def stop_probing() -> None:
    """End probing in this process and give back what was claimed."""
    with _lock:
        if _prober is not None:
            _prober.stop()


def end_probing() -> None:
    """As `stop_probing`, for good: the process is about to end, whatever it still has to do."""
    global _ended
    _ended = True
    stop_probing()


def make_runner() -> Runner:
    """A runner by the site's settings, for one event loop."""
    return Runner(
        per_host=config.resilience_check_per_host,
        addresses=Addresses(allow_private=config.resilience_allow_private_targets),
        connectivity=connectivity(config.resilience_connectivity_targets),
        deep=config.deep_health_checks_enabled,
    )


def run_now(check_id: UUID) -> Ran:
    """Run a check at once and record the result; waits little longer than its timeout.

    Where somebody else is running it, that result is awaited. Raises `NotFound` for a check that
    is not there, and `Unavailable` where its result does not come.
    """
    check = Check.objects.filter(id=check_id).first()
    if check is None:
        raise NotFound("There is no such check.")
    # The run under way may have begun before it was asked for.
    since = datetime.now(UTC) - timedelta(seconds=check.timeout_seconds + _WRITING_SECONDS)
    known = _latest(check_id, since)
    deadline = time.monotonic() + check.timeout_seconds + _WRITING_SECONDS
    while time.monotonic() < deadline:
        claim = claim_one(check_id=check_id, now=datetime.now(UTC))
        if claim is not None:
            return _run(claim)
        time.sleep(_LOOK_SECONDS)
        row = _latest(check_id, since)
        if row is not None and (known is None or row.at > known.at):
            return Ran(check_id, row.at, row.status, row.output, row.latency_ms, row.observed or {})
    raise Unavailable("The check is being run by a worker that does not report.", retry_after=30)


def _latest(check_id: UUID, since: datetime) -> CheckResult | None:
    results = CheckResult.objects.filter(check_id=check_id, at__gte=since)
    return results.order_by("-at").first()


def _run(claim: Claim) -> Ran:
    try:
        result = _probe(claim)
        results_record(results=[result], now=datetime.now(UTC), rng=random.Random())  # noqa: S311
    except BaseException:
        release(claims=[claim])
        raise
    return Ran(
        claim.check_id,
        result.started_at,
        result.status,
        result.output,
        result.latency_ms,
        result.observed,
    )


def _probe(claim: Claim) -> Result:
    work, broken = Probes().of([claim])
    if broken:
        now, (_, reason) = datetime.now(UTC), broken[0]
        return Result(claim, now, ResultStatus.INTERNAL_ERROR, reason, cause=RunCause.MANUAL)
    _, probe, members = work[0]

    async def run() -> Result:
        return await make_runner().run(claim, probe, members=members, cause=RunCause.MANUAL)

    return asyncio.run(run())
