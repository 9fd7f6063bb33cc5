"""Replays: the recorded outcomes of an instance lived through once more with another policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakers.domain.replay import parse_policy, replay
from breakers.domain.replay_result import Replay
from breakers.runtime.batches import Batch
from breakers.runtime.policy_fields import to_fields
from breakers.selectors.outcomes import outcome_batches
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange


def replay_instance(
    *,
    service: str,
    name: str,
    instance: str,
    within: TimeRange,
    changes: Mapping[str, Any],
    most: int | None = None,
) -> Replay | None:
    """What the policy that was in force, with these `changes`, would have done in one instance.

    Without changes the policy in force is replayed itself. None where nothing was recorded. Raises
    `Invalid` for a policy that cannot work, and for more than `most` outcomes.
    """
    batches: list[Batch] = []
    count = 0
    for batch in outcome_batches(service, name, instance, within):
        count += len(batch.columns)
        if most is not None and count > most:
            raise Invalid.field(
                "query.since",
                f"More than {most:,} things were recorded in this range; choose a shorter one, or "
                "run manage.py replay_policy.",
            )
        batches.append(batch)
    if not any(batch.until > within.since for batch in batches):
        return None
    try:
        policy = parse_policy(to_fields(batches[-1].policy), changes) if changes else None
    except (ValueError, TypeError) as error:
        raise Invalid(f"This policy cannot work: {error}") from None
    return replay(batches, policy, since=within.since, until=within.until)
