"""How often things fail and how long it takes until they work again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True)
class Failure:
    """A confirmed failure; `ended_at` is None while it goes on, `held_by` says why nobody was told
    of it ("unreachable", "maintenance", "flapping", …), empty where somebody was."""

    started_at: datetime
    ended_at: datetime | None
    held_by: str = ""


@dataclass(frozen=True)
class FailurePolicy:
    """Which failures do not count, by what held their alert back."""

    left_out: frozenset[str]

    def counts(self, failure: Failure) -> bool:
        return failure.held_by not in self.left_out


# A failure of its own counts, also while flapping or when it was over before anybody was told. One
# that a parent explains is the parent's, and one in maintenance was planned.
DEFAULT: Final = FailurePolicy(frozenset({"unreachable", "maintenance"}))


@dataclass(frozen=True)
class Reliability:
    """Means in seconds, each None without anything to divide by.

    `mttr` is the mean length of the `repaired` failures that ended in the range, `mtbf` the good
    seconds of the range per failure that began in it (`failures`).
    """

    mttr: float | None
    repaired: int
    mtbf: float | None
    failures: int
    good_seconds: float


def reliability(
    failures: Iterable[Failure],
    start: datetime,
    end: datetime,
    good_seconds: float,
    policy: FailurePolicy = DEFAULT,
) -> Reliability:
    """What the failures between `start` (included) and `end` (excluded) say."""
    counted = [each for each in failures if policy.counts(each)]
    lengths = [
        max(0.0, (each.ended_at - each.started_at).total_seconds())
        for each in counted
        if each.ended_at is not None and start <= each.ended_at < end
    ]
    began = sum(start <= each.started_at < end for each in counted)
    return Reliability(
        mttr=sum(lengths) / len(lengths) if lengths else None,
        repaired=len(lengths),
        mtbf=good_seconds / began if began else None,
        failures=began,
        good_seconds=good_seconds,
    )


def joined(failures: Iterable[Failure], policy: FailurePolicy = DEFAULT) -> list[Failure]:
    """The failures of several checks as those of the service they belong to: what overlaps or
    touches is one, which goes on while any of its parts does. What does not count is left out."""
    result: list[Failure] = []
    for each in sorted(filter(policy.counts, failures), key=lambda each: each.started_at):
        last = result[-1] if result else None
        if last is None or (last.ended_at is not None and each.started_at > last.ended_at):
            result.append(Failure(each.started_at, each.ended_at))
        elif last.ended_at is not None:
            ended = None if each.ended_at is None else max(last.ended_at, each.ended_at)
            result[-1] = Failure(last.started_at, ended)
    return result
