"""Rules over journal entries: so many that match, or none for a time."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from alerting.domain.alerts import labels_fingerprint
from alerting.domain.rules.conditions import (
    EventCondition,
    OfJournal,
    SilentCondition,
    quiet_for,
)
from alerting.domain.rules.facts import event_facts
from alerting.domain.rules.fields import Entry, field_value, label_text, labels_of, matches
from alerting.domain.rules.lifecycle import MOST_TRACKED, Emission, Lifecycle, moment_read

_MOST_MEMBERS: Final = 1_000


@dataclass
class Seen:
    """What is remembered of one set of labels: when entries matched, the last of them, how many
    since the condition began to hold, and of `members` when each was last heard."""

    labels: dict[str, str]
    service: str
    times: list[datetime] = field(default_factory=list)
    count: int = 0
    holds: bool = False
    members: dict[str, datetime] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def last(self) -> datetime:
        return self.times[-1]

    def to_json(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "service": self.service,
            "times": [each.isoformat() for each in self.times],
            "count": self.count,
            "holds": self.holds,
            "members": {name: at.isoformat() for name, at in self.members.items()},
            "facts": self.facts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Seen:
        return cls(
            labels=dict(data["labels"]),
            service=data["service"],
            times=[datetime.fromisoformat(each) for each in data["times"]],
            count=data["count"],
            holds=data["holds"],
            members={name: datetime.fromisoformat(at) for name, at in data["members"].items()},
            facts=dict(data["facts"]),
        )


class JournalMachine(ABC):
    """A rule over entries: fed with them in the order of their ids, and told of time between."""

    def __init__(
        self,
        condition: OfJournal,
        hold_for: timedelta,
        keep_firing: timedelta,
        in_force: datetime | None = None,
    ) -> None:
        self.labels = condition.labels
        self.kinds, self.where = condition.kinds, condition.where
        self.ending = condition.resolved_by
        self.lifecycle = Lifecycle(hold_for, keep_firing, in_force)
        self.seen: dict[str, Seen] = {}
        self.clock: datetime | None = None
        self._due: list[tuple[datetime, str]] = []

    def observe(self, entry: Entry) -> None:
        """An entry; one that says a time before the last counts as having come with the last."""
        at = entry.at if self.clock is None else max(self.clock, entry.at)
        self.advance(at)
        if matches(entry, self.kinds, self.where):
            self._matched(at, entry)
        elif self.ending is not None and matches(entry, self.ending.kinds, self.ending.where):
            self._ended(at, entry)

    def advance(self, to: datetime) -> None:
        """Let time pass: whatever is due before `to` happens, in its order."""
        if self.clock is not None and to <= self.clock:
            return
        while True:
            own, alerts = self._own_due(), self.lifecycle.due()
            if own is not None and own < to and (alerts is None or own <= alerts):
                at, key = heapq.heappop(self._due)
                self._passed(at, key)
            elif alerts is not None and alerts < to:
                self.lifecycle.run()
            else:
                break
        self.clock = to

    def taken(self) -> list[Emission]:
        """What has happened to alerts since it was last asked."""
        return self.lifecycle.taken()

    def to_json(self) -> dict[str, Any]:
        """What another machine of the same rule can go on from."""
        return {
            "clock": self.clock and self.clock.isoformat(),
            "seen": {key: each.to_json() for key, each in self.seen.items()},
            "alerts": self.lifecycle.to_json(),
            "in_force": self.lifecycle.in_force and self.lifecycle.in_force.isoformat(),
            "carried": sorted(self.lifecycle.carried),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        self.clock = moment_read(data.get("clock"))
        self.lifecycle.in_force = moment_read(data.get("in_force"))
        self.lifecycle.carried = frozenset(data.get("carried", ()))
        self.lifecycle.restore(data.get("alerts", {}))
        for key, each in data.get("seen", {}).items():
            self.seen[key] = Seen.from_json(each)
            self._wait(key)

    def _found(self, entry: Entry) -> tuple[str, Seen] | None:
        """What is remembered of the entry's labels, begun where it is new; None without room."""
        labels = labels_of(entry, self.labels)
        key = labels_fingerprint(labels)
        seen = self.seen.get(key)
        if seen is None:
            if len(self.seen) >= MOST_TRACKED:
                self.lifecycle.left_out += 1
                return None
            seen = self.seen[key] = Seen(labels, entry.service)
        return key, seen

    def _known(self, entry: Entry) -> tuple[str, Seen] | None:
        labels = labels_of(entry, self.labels)
        key = labels_fingerprint(labels)
        return (key, self.seen[key]) if key in self.seen else None

    def _wait(self, key: str) -> None:
        at = self._deadline(key)
        if at is not None:
            heapq.heappush(self._due, (at, key))

    def _own_due(self) -> datetime | None:
        while self._due:
            at, key = self._due[0]
            if key in self.seen and self._deadline(key) == at:
                return at
            heapq.heappop(self._due)
        return None

    @abstractmethod
    def _matched(self, at: datetime, entry: Entry) -> None: ...

    @abstractmethod
    def _ended(self, at: datetime, entry: Entry) -> None: ...

    @abstractmethod
    def _deadline(self, key: str) -> datetime | None:
        """When something of this is due by itself."""

    @abstractmethod
    def _passed(self, at: datetime, key: str) -> None:
        """The deadline of `key` has come."""


class EventMachine(JournalMachine):
    """Holds once enough entries have matched, until they end or stay out."""

    def __init__(
        self,
        condition: EventCondition,
        hold_for: timedelta,
        keep_firing: timedelta,
        in_force: datetime | None = None,
    ) -> None:
        super().__init__(condition, hold_for, keep_firing, in_force)
        self.needed = condition.count
        self.within = timedelta(seconds=condition.within_seconds)
        self.members = condition.members
        self.quiet = quiet_for(condition)

    def _matched(self, at: datetime, entry: Entry) -> None:
        found = self._found(entry)
        if found is None:
            return
        key, seen = found
        seen.times = [*seen.times[-(self.needed - 1) :], at] if self.needed > 1 else [at]
        seen.count += 1
        if self.members:
            member = label_text(field_value(entry, self.members))
            if member in seen.members or len(seen.members) < _MOST_MEMBERS:
                seen.members[member] = at
        enough = len(seen.times) == self.needed and at - seen.times[0] <= self.within
        if enough or seen.holds:
            if not seen.holds:
                seen.holds, seen.count = True, self.needed
            facts = event_facts(entry, seen.count, self.within if self.needed > 1 else None)
            if self.members:
                facts["members"] = sorted(seen.members)[:20]
            self.lifecycle.holds(at, seen.labels, seen.service, facts)
        self._wait(key)

    def _ended(self, at: datetime, entry: Entry) -> None:
        found = self._known(entry)
        if found is None:
            return
        key, seen = found
        if self.members:
            member = label_text(field_value(entry, self.members))
            if member:
                seen.members.pop(member, None)
            if member and seen.members:
                self._wait(key)
                return
        self._over(at, key)

    def _deadline(self, key: str) -> datetime | None:
        seen = self.seen[key]
        if not seen.holds:
            # Nothing that came before counts any more.
            return seen.last + self.within
        if self.quiet is None:
            return None
        first = min(seen.members.values(), default=seen.last) if self.members else seen.last
        return first + self.quiet

    def _passed(self, at: datetime, key: str) -> None:
        seen = self.seen[key]
        if seen.holds and self.members and self.quiet is not None:
            seen.members = {
                name: last for name, last in seen.members.items() if last + self.quiet > at
            }
            if seen.members:
                self._wait(key)
                return
        self._over(at, key)

    def _over(self, at: datetime, key: str) -> None:
        seen = self.seen.pop(key)
        if seen.holds:
            self.lifecycle.gone(at, key)


class SilentMachine(JournalMachine):
    """Holds while entries that used to come stay out."""

    def __init__(
        self,
        condition: SilentCondition,
        hold_for: timedelta,
        keep_firing: timedelta,
        in_force: datetime | None = None,
    ) -> None:
        super().__init__(condition, hold_for, keep_firing, in_force)
        self.silent = timedelta(seconds=condition.silent_seconds)
        self.forget = timedelta(seconds=condition.forget_seconds)

    def _matched(self, at: datetime, entry: Entry) -> None:
        found = self._found(entry)
        if found is None:
            return
        key, seen = found
        if seen.holds:
            self.lifecycle.gone(at, key)
        seen.holds, seen.times = False, [at]
        seen.facts = event_facts(entry, 1, None)
        self._wait(key)

    def _ended(self, at: datetime, entry: Entry) -> None:
        found = self._known(entry)
        if found is not None:
            self._over(at, found[0])

    def _deadline(self, key: str) -> datetime | None:
        seen = self.seen[key]
        return seen.last + (max(self.forget, self.silent) if seen.holds else self.silent)

    def _passed(self, at: datetime, key: str) -> None:
        seen = self.seen[key]
        if seen.holds:
            self._over(at, key)
            return
        seen.holds = True
        facts = {
            **seen.facts,
            "last_heard": seen.last.isoformat(),
            "window_seconds": int(self.silent.total_seconds()),
        }
        self.lifecycle.holds(at, seen.labels, seen.service, facts)
        self._wait(key)

    def _over(self, at: datetime, key: str) -> None:
        seen = self.seen.pop(key)
        if seen.holds:
            self.lifecycle.gone(at, key)


def journal_machine(
    condition: OfJournal,
    hold_for: timedelta,
    keep_firing: timedelta,
    in_force: datetime | None = None,
) -> JournalMachine:
    """The machine of a condition over the journal."""
    if isinstance(condition, SilentCondition):
        return SilentMachine(condition, hold_for, keep_firing, in_force)
    return EventMachine(condition, hold_for, keep_firing, in_force)
