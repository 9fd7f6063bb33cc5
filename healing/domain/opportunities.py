"""What becomes of an opportunity whose failure lasts though a run came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from healing.domain.matching import Failing

_OPEN: Final = frozenset({"pending", "waiting_approval", "running", "verifying"})


@dataclass(frozen=True)
class LastRun:
    """The last run of an opportunity. `stopped_by`: the person who ended it or said no to it."""

    state: str
    ended_at: datetime | None
    stopped_by: str = ""


def opens_again(failing: Failing, run: LastRun | None) -> bool:
    """Whether another run may be tried: guardrails say when.

    Not while a run is open, nor where a person put an end to it; and after one that succeeded only
    if the failure was seen since.
    """
    if run is None:
        return failing.begins
    if run.state in _OPEN or run.ended_at is None or run.stopped_by or not failing.begins:
        return False
    return run.state != "succeeded" or failing.seen_at > run.ended_at
