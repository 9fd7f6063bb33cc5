"""What another policy would have done: recorded outcomes of a breaker, lived through once more.

The record tells how each call ended that was let through. Of calls that were rejected nobody knows,
so where the candidate would have let them through they are counted as `unknown`, and nothing is
assumed of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from breakers.domain.replay_counts import Counts, Courses
from breakers.domain.replay_result import Replay
from breakers.domain.replay_run import Run
from breakers.domain.tapes import tapes
from breakers.runtime.batches import Batch
from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.policy_fields import POLICY_FIELDS, from_fields

BINS = 60
MAX_BINS = 2_000


def parse_policy(base: Mapping[str, Any], changes: Mapping[str, Any]) -> BreakerPolicy:
    """The policy with the fields `base` and, in place of some of them, `changes`.

    Raises ValueError for a field that is unknown or whose value cannot work.
    """
    known = {name: value for name, value in base.items() if name in POLICY_FIELDS}
    return from_fields({**known, **changes})


def replay(
    batches: Iterable[Batch],
    policy: BreakerPolicy | None,
    *,
    since: datetime,
    until: datetime,
    bins: int = BINS,
) -> Replay:
    """What `policy` would have done with the calls of one instance from `since` until `until`.

    None stands for the policy that was in force, with its changes. The candidate is in force from
    the batch on that holds `since`; what it would have known before is not known. Decisions of
    people, of the site and of other replicas are taken as they were, changes of the policy not.
    Raises ValueError for a range that is none.
    """
    if not since < until:
        raise ValueError("a range ends after it begins")
    if not 1 <= bins <= MAX_BINS:
        raise ValueError(f"a series has 1 to {MAX_BINS:,} bins")
    found, gaps = tapes(each for each in batches if each.until > since and each.since < until)
    counts = Counts(since, until, bins)
    recorded, simulated = Courses(since, until), Courses(since, until)
    reproduced = verified = True
    diverged: list[datetime] = []
    for tape in found:
        run, took_place = Run(tape, policy), tape.recorded()
        counts.add(run, policy)
        recorded.add(tape, took_place)
        simulated.add(tape, run.candidate.moves)
        verified = verified and run.same.moves == took_place
        reproduced = reproduced and run.candidate.moves == took_place
        if run.diverged is not None:
            diverged.append(tape.at(tape.times[run.diverged]))
    return Replay(
        since=since,
        until=until,
        record_since=min((tape.batches[0].since for tape in found), default=None),
        record_until=max((tape.batches[-1].until for tape in found), default=None),
        policy=policy,
        recorded=recorded.result(),
        simulated=simulated.result(),
        reproduced=reproduced,
        verified=verified,
        diverged_at=min(diverged, default=None),
        gaps=tuple(gaps),
        **counts.result(),
    )
