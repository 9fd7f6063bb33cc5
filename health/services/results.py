"""Results of runs: kept, counted towards the check's own state, and passed on when it changes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, When

from health.choices import HealthState, ResultStatus, RunCause
from health.domain import state
from health.domain.schedule import next_due
from health.domain.state import OwnState
from health.models import CheckStatus
from health.models.partitions import RESULTS
from health.selectors.graph import graph_now
from health.services.claims import Claim
from health.services.evaluation import graph_evaluate
from health.services.locks import graph_lock, graph_lock_shared
from health.services.reprobes import reprobe
from health.services.storable import json_storable, text_storable
from resilience_site.core import journal, partitions
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

CONCLUSIVE: Final = frozenset({ResultStatus.UP, ResultStatus.DEGRADED, ResultStatus.DOWN})
LONGEST_OUTPUT: Final = 1_000  # characters


@dataclass(frozen=True)
class Result:
    """What a run found. `latency_ms` is None where nothing answered."""

    claim: Claim
    started_at: datetime
    status: str
    output: str = ""
    latency_ms: float | None = None
    observed: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] | None = None
    cause: str = RunCause.SCHEDULED
    # How long after its time the run began; None for one that somebody asked for.
    late_ms: float | None = None
    # A moment before the usual one at which it is worth running (a heartbeat's deadline).
    next_due_at: datetime | None = None

    @property
    def conclusive(self) -> bool:
        return self.status in CONCLUSIVE


@dataclass(frozen=True)
class _Counted:
    """A result with the check's own state after it."""

    result: Result
    own: OwnState
    next_due_at: datetime | None

    @property
    def before(self) -> OwnState:
        return self.result.claim.own

    @property
    def turned(self) -> bool:
        return self.own.state != self.before.state or self.own.flapping != self.before.flapping

    @property
    def first_failure(self) -> bool:
        return self.own.failures == 1 and self.before.failures == 0


def results_record(*, results: Sequence[Result], now: datetime, rng: random.Random) -> list[UUID]:
    """Write a batch of results; returns the checks whose result was taken.

    One whose claim was taken over or given back since is dropped: whoever took it over reports, and
    no result counts twice. A batch in which
    a check's own state changed, or began to fail, is written under the graph's lock with all that
    follows from it.
    """
    if not results:
        return []
    # Not all between the first and the last: the clock may have been set meanwhile.
    for day in {RESULTS.floor(each.started_at) for each in results}:
        partitions.ensure(RESULTS, day, day)
    counted = [_count(replace(each, output=_clean(each.output)), now, rng) for each in results]
    with transaction.atomic():
        stirring = any(each.turned or each.first_failure for each in counted)
        (graph_lock if stirring else graph_lock_shared)()
        taken = set(_write_statuses(counted, now))
        kept = [each for each in counted if each.result.claim.check_id in taken]
        _write_results(kept)
        _follow(kept, now)
    return [each.result.claim.check_id for each in kept]


def _count(result: Result, now: datetime, rng: random.Random) -> _Counted:
    claim, own = result.claim, result.claim.own
    if result.conclusive and claim.enabled:
        own = state.after(own, result.status, result.started_at, claim.thresholds)
    if not claim.enabled:
        return _Counted(result, own, None)
    suspected = claim.suspected_until is not None and claim.suspected_until > now
    usual = next_due(
        claim.check_id,
        claim.pace,
        now=now,
        failures=own.failures,
        hurried=own.undecided or (suspected and own.state != HealthState.DOWN),
        rng=rng,
    )
    return _Counted(result, own, min(usual, result.next_due_at or usual))


_STATUSES: Final = """
UPDATE health_checkstatus s SET
    lease_until = NULL,
    run_again = false,
    next_due_at = CASE
        WHEN s.next_due_at IS NULL THEN NULL
        WHEN s.run_again THEN %(now)s
        ELSE new.next_due_at END,
    own_state = new.own_state, own_since = new.own_since,
    failures = new.failures, successes = new.successes, streak_since = new.streak_since,
    history = new.history, flapping = new.flapping,
    last_run_at = new.started_at,
    last_conclusive_at = CASE WHEN new.conclusive THEN new.started_at
        ELSE s.last_conclusive_at END,
    last_success_at = CASE WHEN new.status IN ('up', 'degraded') THEN new.started_at
        ELSE s.last_success_at END,
    last_status = new.status, last_latency_ms = new.latency_ms, last_output = new.output,
    last_observed = new.observed::jsonb,
    memory = COALESCE(new.memory::jsonb, s.memory),
    -- Stored after its hour was summed up, as the database was away: that hour is to be again.
    hours_from = CASE WHEN s.hours_from > new.started_at
        THEN date_trunc('hour', new.started_at, 'UTC') ELSE s.hours_from END
FROM unnest(
    %(ids)s::uuid[], %(fences)s::bigint[], %(next_due_at)s::timestamptz[],
    %(own_state)s::text[], %(own_since)s::timestamptz[], %(failures)s::int[],
    %(successes)s::int[], %(streak_since)s::timestamptz[], %(history)s::text[],
    %(flapping)s::bool[], %(started_at)s::timestamptz[], %(conclusive)s::bool[],
    %(status)s::text[], %(latency_ms)s::float8[], %(output)s::text[], %(observed)s::text[],
    %(memory)s::text[]
) AS new (
    check_id, fence, next_due_at, own_state, own_since, failures, successes, streak_since,
    history, flapping, started_at, conclusive, status, latency_ms, output, observed, memory
)
WHERE s.check_id = new.check_id AND s.fence = new.fence AND s.lease_until IS NOT NULL
RETURNING s.check_id
"""


def _write_statuses(counted: Sequence[_Counted], now: datetime) -> list[UUID]:
    results = [each.result for each in counted]
    values: dict[str, Any] = {
        "now": now,
        "ids": [each.claim.check_id for each in results],
        "fences": [each.claim.fence for each in results],
        "next_due_at": [each.next_due_at for each in counted],
        "own_state": [each.own.state for each in counted],
        "own_since": [each.own.since for each in counted],
        "failures": [each.own.failures for each in counted],
        "successes": [each.own.successes for each in counted],
        "streak_since": [each.own.streak_since for each in counted],
        "history": [each.own.history for each in counted],
        "flapping": [each.own.flapping for each in counted],
        "started_at": [each.started_at for each in results],
        "conclusive": [each.conclusive for each in results],
        "status": [str(each.status) for each in results],
        "latency_ms": [each.latency_ms for each in results],
        "output": [each.output for each in results],
        "observed": [json_storable(each.observed) for each in results],
        "memory": [None if each.memory is None else json_storable(each.memory) for each in results],
    }
    with connection.cursor() as cursor:
        cursor.execute(_STATUSES, values)
        return [row[0] for row in cursor.fetchall()]


def _write_results(kept: Sequence[_Counted]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO health_checkresult "
            "(at, check_id, latency_ms, late_ms, status, cause, output, observed) "
            "SELECT at, check_id, latency_ms, late_ms, status, cause, output, observed::jsonb "
            "FROM unnest(%s::timestamptz[], %s::uuid[], %s::float8[], %s::float8[], %s::text[], "
            "%s::text[], %s::text[], %s::text[]) "
            "AS r (at, check_id, latency_ms, late_ms, status, cause, output, observed) "
            "ON CONFLICT DO NOTHING",
            [
                [each.result.started_at for each in kept],
                [each.result.claim.check_id for each in kept],
                [each.result.latency_ms for each in kept],
                [each.result.late_ms for each in kept],
                [str(each.result.status) for each in kept],
                [str(each.result.cause) for each in kept],
                [each.result.output for each in kept],
                [
                    json_storable(each.result.observed) if each.result.observed else None
                    for each in kept
                ],
            ],
        )


def _clean(output: str) -> str:
    return text_storable(output[:LONGEST_OUTPUT])


def _follow(kept: Sequence[_Counted], now: datetime) -> None:
    """What else happens because of these results, in the same transaction."""
    failing = [each.result.claim.check_id for each in kept if each.first_failure]
    if failing:
        reprobe(check_ids=graph_now().above(failing) - set(failing), now=now)
    turned = [each for each in kept if each.turned]
    if not turned:
        return
    reasons = {each.result.claim.check_id: _reason(each) for each in turned}
    flapped = [_flap_entry(each) for each in turned if each.own.flapping != each.before.flapping]
    graph_evaluate(
        now=now,
        changed=[e.result.claim.check_id for e in turned if e.own.state != e.before.state],
        reasons=reasons,
        entries=flapped,
    )


def _reason(each: _Counted) -> str:
    own, result = each.own, each.result
    needed = result.claim.thresholds
    if own.state == HealthState.DOWN:
        return f"{own.failures} of {needed.failures_to_down} failed in a row: {result.output}"
    if own.state == HealthState.DEGRADED:
        return result.output or "slow"
    if each.before.state == HealthState.DOWN:
        return f"{own.successes} of {needed.successes_to_up} succeeded in a row"
    return result.output or "it answers"


def _flap_entry(each: _Counted) -> Entry:
    claim = each.result.claim
    kind = "flapping_started" if each.own.flapping else "flapping_ended"
    payload = {"name": claim.name, "history": each.own.history}
    return Entry(Topic.HEALTH, kind, str(claim.check_id), each.own.state, claim.service, payload)


def probes_tell() -> None:
    """Tell open pages that there are new results; the caller says how often."""
    with transaction.atomic():
        journal.append([Entry(Topic.PROBES, "probed", "")])


def push_receive(*, check_id: UUID, status: str, output: str, now: datetime) -> None:
    """Note a heartbeat; the check is run at once and judges it."""
    with transaction.atomic():
        graph_lock_shared()
        status_row = CheckStatus.objects.filter(check_row_id=check_id)
        status_row.update(pushed_at=now, pushed_status=status, pushed_output=_clean(output))
        # A run that is under way may have read the heartbeat before this one.
        status_row.filter(next_due_at__isnull=False).update(
            next_due_at=now,
            run_again=Case(When(lease_until__gt=now, then=True), default=False),
        )
