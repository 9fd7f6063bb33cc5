"""The incidents that alerts may become part of, and which of them are one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Final
from uuid import UUID

from alerting.domain.calls import are_separate, calls_in
from alerting.domain.incidents import NEAR, OPENING, SEVERITIES, Keys, Seen, is_strong, worst

# An incident whose alerts ended opens again for one that fires within this.
REOPENS: Final = timedelta(minutes=10)
# Where more calls of one service begin to fail within this than two, that is no coincidence: the
# service itself is what they have in common.
AT_ONCE: Final = timedelta(minutes=2)
_COINCIDENCE: Final = 2


@dataclass
class Held:
    """An incident as far as others may be part of it: open, or ended by itself lately.

    `last_at` is when the last of its alerts began.
    """

    id: UUID
    started_at: datetime
    last_at: datetime
    ended_at: datetime | None = None
    severity: str = "page"
    keys: set[str] = field(default_factory=set)
    # Those of the keys that name calls.
    calls: dict[str, set[str]] = field(default_factory=dict)

    def adds(self, alert: Seen, keys: Keys) -> Keys:
        """What the keys of an alert add to the incident that it joins.

        One of a call has symptoms that others may have too, and where these began is not for them to
        say; what is of a service behind the call is none.
        """
        behind = f"service:{alert.service}" in self.keys and alert.service not in self.calls
        if not self.calls or behind or keys.of_call:
            return keys
        return Keys(keys.own, frozenset(), frozenset(), frozenset({alert.service} - {""}), keys.own)


class Ledger:
    """The incidents that alerts may become part of, found by their keys."""

    def __init__(self, held: Iterable[Held] = ()) -> None:
        self._held: dict[UUID, Held] = {}
        self._by_key: dict[str, set[UUID]] = {}
        # Of each service the incidents that name calls of it.
        self._callers: dict[str, set[UUID]] = {}
        for each in held:
            self.add(each)

    def add(self, held: Held) -> None:
        self._held[held.id] = held
        self.point(held.id, held.keys)

    def get(self, incident_id: UUID) -> Held:
        return self._held[incident_id]

    def point(self, incident_id: UUID, keys: Iterable[str]) -> set[str]:
        """Give an incident more keys; the ones that it did not have."""
        held = self._held[incident_id]
        new = set()
        for key in keys:
            others = self._by_key.setdefault(key, set())
            if incident_id not in others:
                others.add(incident_id)
                new.add(key)
        for service, names in calls_in(new).items():
            self._callers.setdefault(service, set()).add(incident_id)
            held.calls.setdefault(service, set()).update(names)
        held.keys |= new
        return new

    def forget(self, incident_id: UUID) -> None:
        held = self._held.pop(incident_id)
        for key in held.keys:
            self._by_key[key].discard(incident_id)
        for service in held.calls:
            self._callers[service].discard(incident_id)

    def matching(self, alert: Seen, keys: Keys) -> list[UUID]:
        """The incidents of the alert's cause, the oldest first: all that a strong key names, but
        for those that the alert or a nearer one of them is apart from; else the one that a weak key
        does, unless it is over and the alert names another cause."""
        # What the alert would be alone, and then the incidents that are one with it.
        begun, strong_keys = alert.started_at, set(keys.strong)
        alone = Held(
            alert.id, begun, begun, None, alert.severity, strong_keys, calls_in(strong_keys)
        )
        strong = [alone]
        for each in self._nearest(keys.strong, alert, keys):
            if not any(self._apart(each, other) for other in strong):
                strong.append(each)
        if len(strong) > 1:
            return [each.id for each in sorted(strong[1:], key=_age)]
        weak = [
            each
            for each in self._nearest(keys.weak, alert, keys)
            if _away(each, alert) <= NEAR
            and not self._of_other_calls(each, alone)
            and not (each.ended_at is not None and _of_other_cause(each.keys, strong_keys))
        ]
        return [each.id for each in weak[:1]]

    def _nearest(self, named: Iterable[str], alert: Seen, keys: Keys) -> list[Held]:
        """The incidents that keys name and that the alert overlaps: those that still last first, of
        them the most urgent, then what has most in common with it, then what began next to it."""
        found = [each for each in self._named(named) if _overlap(each, alert)]
        return sorted(
            found,
            key=lambda each: (
                each.ended_at is not None,
                SEVERITIES.index(each.severity),
                -len(keys.all & each.keys),
                abs(alert.started_at - each.started_at),
            ),
        )

    def merge(self, kept: UUID, gone: UUID) -> None:
        """Let the first incident be what the second was, too."""
        other = self._held[gone]
        self.forget(gone)
        self.point(kept, other.keys)
        held = self._held[kept]
        held.started_at = min(held.started_at, other.started_at)
        held.last_at = max(held.last_at, other.last_at)
        held.severity = worst([held.severity, other.severity])

    def same_cause(self, active: Iterable[UUID]) -> Iterator[tuple[UUID, UUID]]:
        """Those of the `active` that share a strong key, as (the older, the younger), the most
        urgent first; those that were merged meanwhile are passed over."""
        among = set(active)
        pairs: dict[tuple[UUID, UUID], str] = {}
        for ids in self._by_key_strong().values():
            held = sorted((self._held[each] for each in ids & among), key=_age)
            for older, younger in combinations(held, 2):
                pairs[older.id, younger.id] = worst([older.severity, younger.severity])
        for older, younger in self._no_coincidence(among):
            pairs[older.id, younger.id] = worst([older.severity, younger.severity])
        for older_id, younger_id in sorted(pairs, key=lambda each: SEVERITIES.index(pairs[each])):
            first, second = self._held.get(older_id), self._held.get(younger_id)
            if first and second and not self._apart(first, second):
                yield older_id, younger_id

    def _no_coincidence(self, among: Set[UUID]) -> Iterator[tuple[Held, Held]]:
        """Those of whose service too many calls began to fail at one time."""
        for service, ids in self._callers.items():
            held = sorted((self._held[each] for each in ids & among), key=_age)
            for older, younger in pairwise(held):
                if self._at_once(service, older, younger):
                    yield older, younger

    def _at_once(self, service: str, one: Held, other: Held) -> bool:
        near = [self._held[each] for each in self._callers.get(service, ())]
        near = [
            each
            for each in (*near, one, other)
            if all(abs(each.started_at - of.started_at) <= AT_ONCE for of in (one, other))
        ]
        return len({name for each in near for name in each.calls[service]}) > _COINCIDENCE

    def _apart(self, one: Held, other: Held) -> bool:
        return _less_urgent(one, other) or self._of_other_calls(one, other)

    def _of_other_calls(self, one: Held, other: Held) -> bool:
        """Whether two tell of different calls of one service, which fail by coincidence."""
        split = are_separate(one.calls, other.calls, one.keys & other.keys)
        return any(not self._at_once(each, one, other) for each in split)

    def _by_key_strong(self) -> dict[str, set[UUID]]:
        return {key: ids for key, ids in self._by_key.items() if is_strong(key) and len(ids) > 1}

    def _named(self, keys: Iterable[str]) -> list[Held]:
        found = {each for key in keys for each in self._by_key.get(key, ())}
        return sorted((self._held[each] for each in found), key=_age)


def _age(held: Held) -> tuple[datetime, str]:
    return held.started_at, str(held.id)


def _away(held: Held, alert: Seen) -> timedelta:
    return abs(alert.started_at - held.last_at)


def _of_other_cause(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether both keys name checks that fail, or where it began, and none that is the same."""
    for kind in ("check:", "root:"):
        mine, theirs = ({key for key in keys if key.startswith(kind)} for keys in (one, other))
        if mine and theirs and not mine & theirs:
            return True
    return False


def _less_urgent(one: Held, other: Held) -> bool:
    """Whether the less urgent of two was all that there was long before the more urgent began.
    What is only for the record is no outage that the other could be taken for."""
    if one.severity == other.severity:
        return False
    urgent, lesser = sorted((one, other), key=lambda each: SEVERITIES.index(each.severity))
    return lesser.severity in OPENING and urgent.started_at - lesser.last_at > NEAR


def _overlap(held: Held, alert: Seen) -> bool:
    """Whether the alert began before the incident was over for good, and ended after it began."""
    if held.ended_at is not None and alert.started_at > held.ended_at + REOPENS:
        return False
    return alert.ended_at is None or alert.ended_at >= held.started_at - REOPENS
