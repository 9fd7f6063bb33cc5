"""The transitions that took place and those of a candidate, in one order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from breakers.domain.replay_result import Transition


@dataclass(frozen=True, slots=True)
class Row:
    """What took place at a moment and what the candidate would have done then; one may be None."""

    at: datetime
    recorded: Transition | None
    candidate: Transition | None


def merged(recorded: Sequence[Transition], candidate: Sequence[Transition]) -> list[Row]:
    """Both, each in order of time, as rows in order of time.

    Two share a row where they are the same change of state in the same second.
    """
    rows: list[Row] = []
    left = right = 0
    while left < len(recorded) and right < len(candidate):
        one, other = recorded[left], candidate[right]
        same = _shown(one) == _shown(other)
        took_place, would_have = same or one.at <= other.at, same or other.at < one.at
        rows.append(
            Row(
                min(one.at, other.at),
                one if took_place else None,
                other if would_have else None,
            )
        )
        left += took_place
        right += would_have
    rows += [Row(each.at, each, None) for each in recorded[left:]]
    rows += [Row(each.at, None, each) for each in candidate[right:]]
    return rows


def _shown(move: Transition) -> tuple[datetime, str, str]:
    """What makes two the same to a reader, who sees times to the second."""
    return move.at.replace(microsecond=0), move.from_state, move.to_state
