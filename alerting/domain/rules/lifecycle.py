"""What becomes of an alert while its condition holds and after: pending, firing, resolved.

Time only moves forward and only as it is told. What is due strictly before a moment has happened
at that moment, whichever steps led there: evaluated every 5 s or once a week, the result is equal.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from alerting.domain.alerts import Happening, labels_fingerprint

# Label sets of one rule that are followed at once; further ones are counted and left out.
MOST_TRACKED: Final = 5_000
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Emission:
    """Something that happens to the alert of `labels` at `at`; its condition began at `since`."""

    happening: Happening
    at: datetime
    labels: Labels
    service: str
    since: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Track:
    """An alert that is pending or firing; `gone_at` is when its condition ended, if it has."""

    labels: dict[str, str]
    service: str
    since: datetime
    facts: dict[str, Any]
    fired_at: datetime | None = None
    gone_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "service": self.service,
            "since": self.since.isoformat(),
            # Those of a firing alert stand in its row.
            "facts": self.facts if self.fired_at is None else {},
            "fired_at": self.fired_at and self.fired_at.isoformat(),
            "gone_at": self.gone_at and self.gone_at.isoformat(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Track:
        return cls(
            labels=dict(data["labels"]),
            service=data["service"],
            since=datetime.fromisoformat(data["since"]),
            facts=dict(data["facts"]),
            fired_at=moment_read(data["fired_at"]),
            gone_at=moment_read(data["gone_at"]),
        )


class Lifecycle:
    """The alerts of one rule by the fingerprint of their labels.

    Nothing fires before `in_force`, from when on the rule is as it is: what holds since earlier and
    still does fires at that moment. The alerts of `carried` fired by the rule's former version and
    go on, as if it had always been as it is, and those that hold then without a new wait.
    """

    def __init__(
        self, hold_for: timedelta, keep_firing: timedelta, in_force: datetime | None = None
    ) -> None:
        self.hold_for = hold_for
        self.keep_firing = keep_firing
        self.in_force = in_force
        self.carried: frozenset[str] = frozenset()
        self.tracks: dict[str, Track] = {}
        self.emitted: list[Emission] = []
        # Label sets that there was no room for, since the machine was made.
        self.left_out = 0
        self._due: list[tuple[datetime, str]] = []

    def holds(self, at: datetime, labels: Labels, service: str, facts: Mapping[str, Any]) -> None:
        """The condition holds at `at`, now or still."""
        key = labels_fingerprint(labels)
        track = self.tracks.get(key)
        if track is None:
            if len(self.tracks) >= MOST_TRACKED:
                self.left_out += 1
                return
            track = self.tracks[key] = Track(dict(labels), service, at, dict(facts))
            fires_at = self._fires_at(key, track)
            if fires_at > at:
                self._emit("begin", at, track, facts)
                self._wait(fires_at, key)
            else:
                self._fire(at, track)
            return
        track.gone_at = None
        track.facts = dict(facts)
        self._emit("refresh", at, track, facts)

    def gone(self, at: datetime, key: str) -> None:
        """The condition has ended; nothing where it did not hold."""
        track = self.tracks.get(key)
        if track is None or track.gone_at is not None:
            return
        if track.fired_at is None or not self.keep_firing:
            self._resolve(at, key)
        else:
            track.gone_at = at
            self._wait(at + self.keep_firing, key)

    def due(self) -> datetime | None:
        """The next moment at which something happens by itself."""
        while self._due:
            at, key = self._due[0]
            if self._deadline(key) == at:
                return at
            heapq.heappop(self._due)
        return None

    def run(self) -> None:
        """Have what is due next happen."""
        at, key = heapq.heappop(self._due)
        track = self.tracks[key]
        if track.fired_at is None:
            self._fire(at, track)
        else:
            self._resolve(at, key)

    def taken(self) -> list[Emission]:
        """What has happened since it was last asked, in order."""
        emitted, self.emitted = self.emitted, []
        return emitted

    def to_json(self) -> dict[str, Any]:
        return {key: track.to_json() for key, track in self.tracks.items()}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        for key, each in data.items():
            self.tracks[key] = Track.from_json(each)
            deadline = self._deadline(key)
            if deadline is not None:
                self._wait(deadline, key)

    def _deadline(self, key: str) -> datetime | None:
        track = self.tracks.get(key)
        if track is None:
            return None
        if track.fired_at is None:
            return self._fires_at(key, track)
        return None if track.gone_at is None else track.gone_at + self.keep_firing

    def _fires_at(self, key: str, track: Track) -> datetime:
        after = track.since + self.hold_for
        if self.in_force is None or track.since > self.in_force:
            return after
        return min(after, self.in_force) if key in self.carried else max(after, self.in_force)

    def _fire(self, at: datetime, track: Track) -> None:
        track.fired_at = at
        self._emit("fire", at, track, track.facts)

    def _resolve(self, at: datetime, key: str) -> None:
        self._emit("resolve", at, self.tracks.pop(key), {})

    def _wait(self, at: datetime, key: str) -> None:
        heapq.heappush(self._due, (at, key))

    def _emit(
        self, happening: Happening, at: datetime, track: Track, facts: Mapping[str, Any]
    ) -> None:
        self.emitted.append(
            Emission(happening, at, track.labels, track.service, track.since, dict(facts))
        )


def moment_read(text: str | None) -> datetime | None:
    """The time that an ISO text names, None for none."""
    return datetime.fromisoformat(text) if text else None
