"""Whether a channel is told of a group now, by what it was told last: the notification log.

Of an alert that a channel was told is firing, it is told when it is over, also when the alert has
been silenced, inhibited or routed elsewhere since. Those reasons alone tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from alerting.domain.messages import Occasion


@dataclass(frozen=True)
class Told:
    """What a channel was last told of a group: when, and which alerts it was told are firing."""

    at: datetime
    firing: frozenset[UUID]


@dataclass(frozen=True)
class Standing:
    """How a group stands for a channel.

    `firing` are the alerts to tell of; `over` those that have been resolved, and `lasting` those
    that still fire, of all that the channel has been told.
    """

    firing: Set[UUID]
    over: Set[UUID]
    lasting: Set[UUID]


@dataclass(frozen=True)
class Decision:
    """`occasion` is why to tell, None for nothing to tell; `firing` what the channel knows of
    afterwards; `new` and `ended` are what it did not know."""

    occasion: Occasion | None
    new: frozenset[UUID]
    ended: frozenset[UUID]
    firing: frozenset[UUID]


@dataclass(frozen=True)
class News:
    """What a group has to say on its way to one channel.

    `decision` is what the stage deduplicate made of it, `delivery` what the stage deliver wrote:
    None where there was nothing to tell. `note` says why it goes by this channel, where no route
    names it.
    """

    channel: UUID
    told: Told | None
    standing: Standing
    sends_resolved: bool
    note: str = ""
    decision: Decision | None = None
    delivery: UUID | None = None

    @property
    def knows_firing(self) -> bool:
        """Whether the channel knows of an alert that fires, after the decision."""
        return self.decision is not None and bool(self.decision.firing)


@dataclass(frozen=True)
class Deduplicator:
    """The stage that says what each channel is told `now`, of a group that is repeated after
    `repeat`."""

    repeat: timedelta
    now: datetime

    def __call__(self, news: Sequence[News]) -> list[News]:
        return [replace(each, decision=self._decision(each)) for each in news]

    def _decision(self, news: News) -> Decision:
        return decide(
            news.told,
            news.standing,
            sends_resolved=news.sends_resolved,
            repeat=self.repeat,
            now=self.now,
        )


def decide(
    told: Told | None,
    standing: Standing,
    *,
    sends_resolved: bool,
    repeat: timedelta,
    now: datetime,
) -> Decision:
    """What a channel that was `told` so much is told now.

    A channel that does not want to hear of ends forgets the alerts that are over without a word. A
    time in the future, left by a clock that was wrong, counts as `now`.
    """
    before = told.firing if told else frozenset[UUID]()
    new = frozenset(standing.firing - before)
    ended = frozenset(before & standing.over)
    after = frozenset((before & standing.lasting) | standing.firing)
    return Decision(
        _occasion(told, standing, before, new, ended if sends_resolved else frozenset(), after,
                  now - repeat),
        new,
        ended,
        after,
    )  # fmt: skip


def _occasion(
    told: Told | None,
    standing: Standing,
    before: frozenset[UUID],
    new: frozenset[UUID],
    ended: frozenset[UUID],
    after: frozenset[UUID],
    repeated_before: datetime,
) -> Occasion | None:
    if new:
        return "grown" if before else "first"
    if ended:
        return "shrunk" if after else "resolved"
    if told is not None and standing.firing and told.at <= repeated_before:
        return "repeated"
    return None
