"""What is shown of a breaker: one thing, made of what its instances report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from breakers.choices import BreakerState, OverrideScope
from breakers.domain.aggregate import band, rank

WINDOW_SECONDS: Final = 60
BIN_SECONDS: Final = 10
BINS: Final = 12
DEFAULT_MINIMUM: Final = 10
# One that opens again and again looks well in between.
OPENINGS_WINDOW_SECONDS: Final = 600
# Between what a person has decided and what works.
_SILENT_RANK: Final = rank(BreakerState.CLOSED) - 0.5


@dataclass(frozen=True, slots=True)
class Counts:
    """Calls of ten seconds: `calls` succeeded or failed, `rejected` were never made."""

    calls: int
    failures: int
    slow: int
    rejected: int


@dataclass(frozen=True, slots=True)
class OverrideView:
    """An override that is in force, and what it covers."""

    id: int
    scope: str
    state: str
    reason: str
    actor: str
    created_at: datetime
    expires_at: datetime | None
    service: str = ""
    name: str = ""
    instance: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class InstanceView:
    """A breaker in one instance. `applied_version` is None for one that never polled."""

    instance: str
    state: str
    since: datetime
    last_seen: datetime
    silent: bool
    reason: str = ""
    failure_rate: float | None = None
    window_calls: int | None = None
    next_probe_at: datetime | None = None
    policy: Mapping[str, Any] | None = None
    applied_version: int | None = None
    applied_at: datetime | None = None
    version: str = ""
    started_at: datetime | None = None
    restarts: int = 0
    restarted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BreakerView:
    """A breaker of a service over all of its instances.

    `state` is what all live instances say, or else the worst of it; the last known while all of
    them are `silent`. `counts` says how many are in which state. The figures are those of the last
    `window_seconds`; `series` holds two minutes of them, oldest first, None where nothing came in.
    `version` is that of the service's control document, None where there is none. `openings` counts
    how often it opened, in all instances, in the last ten minutes.
    """

    service: str
    name: str
    key: str
    state: str
    silent: bool
    since: datetime
    reason: str
    next_probe_at: datetime | None
    last_seen: datetime
    instances: tuple[InstanceView, ...]
    counts: tuple[tuple[str, int], ...]
    overrides: tuple[OverrideView, ...]
    series: tuple[Counts | None, ...]
    policy: Mapping[str, Any] | None
    version: int | None
    domains: tuple[str, ...]
    calls: int
    failures: int
    slow: int
    rejected: int
    openings: int = 0
    window_seconds: int = WINDOW_SECONDS

    @property
    def minimum(self) -> int:
        """Fewer calls say nothing about it."""
        told = (self.policy or {}).get("minimum_number_of_calls")
        return told if isinstance(told, int) and told > 0 else DEFAULT_MINIMUM

    @property
    def failure_rate(self) -> float | None:
        """Failures per call, 0..1; None under the minimum."""
        return self.failures / self.calls if self.calls >= self.minimum else None

    @property
    def slow_call_rate(self) -> float | None:
        """Slow calls per call, 0..1; None under the minimum."""
        return self.slow / self.calls if self.calls >= self.minimum else None

    @property
    def flapping(self) -> str:
        """`Opened 5 times in 10 min`; empty for one that opened once or not at all."""
        minutes = OPENINGS_WINDOW_SECONDS // 60
        return f"Opened {self.openings:,} times in {minutes} min" if self.openings > 1 else ""

    @property
    def disagrees(self) -> bool:
        """Whether its instances are in different states."""
        return len(self.counts) > 1

    @property
    def disagreement(self) -> str:
        """`Open 1, closed 2`; empty where all agree."""
        if not self.disagrees:
            return ""
        words = [f"{_word(state)} {count}" for state, count in self.counts]
        return ", ".join([words[0], *(word[0].lower() + word[1:] for word in words[1:])])

    @property
    def override(self) -> OverrideView | None:
        """The one to name first: it covers all instances, if any of them does."""
        return self.overrides[0] if self.overrides else None

    @property
    def live(self) -> tuple[InstanceView, ...]:
        """Instances that report."""
        return tuple(each for each in self.instances if not each.silent)

    def covered(self, override: OverrideView | None) -> tuple[InstanceView, ...]:
        """The live instances that an override concerns; all of them without one."""
        if override is None or override.scope != OverrideScope.INSTANCE:
            return self.live
        return tuple(each for each in self.live if each.instance == override.instance)

    def has_applied(self, instance: InstanceView) -> bool:
        """Whether an instance works by the present control document."""
        return instance.applied_version is not None and (
            self.version is None or instance.applied_version >= self.version
        )

    @property
    def acknowledged(self) -> list[datetime | None]:
        """When each live instance applied the present document; None where it has not."""
        return [each.applied_at if self.has_applied(each) else None for each in self.live]

    def applied(self, override: OverrideView | None = None) -> tuple[int, int]:
        """How many live instances work by the present document, of how many that it concerns."""
        covered = self.covered(override)
        return sum(map(self.has_applied, covered)), len(covered)

    @property
    def trouble(self) -> tuple[float, int, int, str, str]:
        """Sorts the worst first, then the busiest."""
        standing = _SILENT_RANK if self.silent else rank(self.state)
        volume = self.calls + self.rejected
        return (standing, band(self.failure_rate), -volume, self.service, self.name)


def _word(state: str) -> str:
    return str(BreakerState(state).label) if state in BreakerState.values else state
