"""Rules over figures: at the end of each minute, what holds is given, and all else does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from alerting.domain.alerts import labels_fingerprint
from alerting.domain.rules.lifecycle import Emission, Lifecycle, moment_read


@dataclass(frozen=True)
class Reading:
    """A figure that meets its condition: whose it is, and what it came to."""

    labels: Mapping[str, str]
    service: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class FigureMachine:
    """Fed with the readings that hold at each minute's end, in order and none left out."""

    def __init__(
        self, hold_for: timedelta, keep_firing: timedelta, in_force: datetime | None = None
    ) -> None:
        self.lifecycle = Lifecycle(hold_for, keep_firing, in_force)
        self.clock: datetime | None = None

    def minute(self, at: datetime, readings: Sequence[Reading]) -> None:
        """What holds at `at`."""
        if self.clock is not None and at <= self.clock:
            return
        self.advance(at)
        for each in readings:
            self.lifecycle.holds(at, each.labels, each.service, each.facts)
        now_held = {labels_fingerprint(each.labels) for each in readings}
        for key in [key for key in self.lifecycle.tracks if key not in now_held]:
            self.lifecycle.gone(at, key)

    def advance(self, to: datetime) -> None:
        """Let time pass: whatever is due before `to` happens, in its order."""
        while (due := self.lifecycle.due()) is not None and due < to:
            self.lifecycle.run()
        self.clock = to

    def taken(self) -> list[Emission]:
        return self.lifecycle.taken()

    def to_json(self) -> dict[str, Any]:
        return {
            "clock": self.clock and self.clock.isoformat(),
            "alerts": self.lifecycle.to_json(),
            "in_force": self.lifecycle.in_force and self.lifecycle.in_force.isoformat(),
            "carried": sorted(self.lifecycle.carried),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        self.clock = moment_read(data.get("clock"))
        self.lifecycle.in_force = moment_read(data.get("in_force"))
        self.lifecycle.carried = frozenset(data.get("carried", ()))
        self.lifecycle.restore(data.get("alerts", {}))
