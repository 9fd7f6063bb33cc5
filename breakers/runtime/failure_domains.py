"""Dependencies that fail together, and are cut off together; by whom, and until when."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import CircuitState
from breakers.runtime.expiry import Ends, seconds_left
from breakers.runtime.reports import Reports
from breakers.runtime.variables import ConfigError

logger = logging.getLogger(__name__)

Member = CircuitBreaker | Bulkhead
_FIELDS = ("reason", "actor", "expires_at", "expires_in")


class FailureDomain:
    """Breakers and bulkheads of one region, cluster or vendor.

    Isolating forces its breakers open and rejects all calls of its bulkheads. Each reason is taken
    back by itself; the domain is released with the last one. A member of which `stays` is true is
    left as it is: something else decides its state. Domains that share members share a `lock`.
    """

    def __init__(
        self,
        name: str,
        members: Iterable[Member] = (),
        *,
        stays: Callable[[FailureDomain, Member], bool] = lambda domain, member: False,
        lock: threading.RLock | None = None,
    ) -> None:
        self.name = name
        self._stays = stays
        self._lock = lock or threading.RLock()
        self._members: list[Member] = list(members)
        self._reasons: list[str] = []
        self._forced: list[CircuitBreaker] = []

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self._members)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is isolated; empty when it is not."""
        return tuple(self._reasons)

    def add(self, *members: Member) -> None:
        """Let more belong to it; in an isolated domain they are isolated at once."""
        with self._lock:
            fresh = [each for each in members if each not in self._members]
            self._members += fresh
            if self._reasons:
                self._cut_off(fresh)

    def isolate(self, reason: str) -> int:
        """Cut all members off; how many were not before."""
        with self._lock:
            if reason in self._reasons:
                return 0
            self._reasons.append(reason)
            return self._cut_off(self._members) if len(self._reasons) == 1 else 0

    def release(self, reason: str | None = None) -> int:
        """Take back one reason, or all; how many members were let go."""
        with self._lock:
            if reason is not None and reason not in self._reasons:
                return 0
            self._reasons = [] if reason is None else [r for r in self._reasons if r != reason]
            if self._reasons:
                return 0
            released = 0
            forced, self._forced = self._forced, []
            for breaker in forced:
                # What a person decided in the meantime stays.
                if breaker.state is CircuitState.FORCED_OPEN and not self._stays(self, breaker):
                    breaker.reset(f"failure domain {self.name} released")
                    released += 1
            for member in self._members:
                if (
                    isinstance(member, Bulkhead)
                    and member.isolated
                    and not self._stays(self, member)
                ):
                    member.rejoin()
                    released += 1
            return released

    def hold(self, member: Member) -> bool:
        """Take over what another cut off or set until now; false where it is not isolated here."""
        with self._lock:
            if not self._reasons or member not in self._members:
                return False
            if isinstance(member, CircuitBreaker):
                if member not in self._forced:
                    self._forced.append(member)
                member.force_open(self._why())
            return True

    def _cut_off(self, members: Iterable[Member]) -> int:
        done = 0
        for member in members:
            if isinstance(member, Bulkhead):
                if not member.isolated:
                    member.isolate(self._why())
                    done += 1
            elif member.state not in (
                CircuitState.FORCED_OPEN,
                CircuitState.DISABLED,
            ) and not self._stays(self, member):
                member.force_open(self._why())
                self._forced.append(member)
                done += 1
        return done

    def _why(self) -> str:
        return f"failure domain {self.name}: {self._reasons[0]}"


class _Isolation(NamedTuple):
    """What the site isolates; `reason` is unlike any that a program gives."""

    reason: str
    until: float | None


class SiteIsolation:
    """The failure domains that the site isolates, those that are not declared yet included.

    Takes back only what the site asked for. `domain` finds a domain by its name.
    """

    def __init__(
        self,
        domain: Callable[[str], FailureDomain | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._domain = domain
        self._clock = clock
        self._lock = threading.RLock()
        self._ends = Ends(clock)
        self._isolated: dict[str, _Isolation] = {}
        self._reports = Reports(logger)

    def apply(self, document: Mapping[str, Any]) -> None:
        """Work by the `isolated` of a control document: domain → `reason` and `expires_in`.

        What cannot be used is reported in the log and leaves the domain as it is.
        """
        entries = document.get("isolated")
        if not isinstance(entries, Mapping):
            self._reports.once("shape", "The control document has no usable isolated: %r", entries)
            return
        with self._lock:
            wanted = {}
            for name, entry in entries.items():
                isolation = self._usable(name, entry)
                if isolation is not None and not _is_over(isolation, self._clock()):
                    wanted[name] = isolation
            self._ends.keep(entries.keys())
            before, self._isolated = self._isolated, wanted
            for name in wanted:
                self.declared(name, report=True)
            for name, each in before.items():
                if name not in wanted or wanted[name].reason != each.reason:
                    self._release(name, each)

    def declared(self, name: str, *, report: bool = False) -> None:
        """Isolate the domain `name`, if the site wants that and the domain is there."""
        with self._lock:
            isolation = self._isolated.get(name)
            if isolation is None or _is_over(isolation, self._clock()):
                return
            domain = self._domain(name)
            if domain is not None:
                domain.isolate(isolation.reason)
            elif report:
                self._reports.once(
                    f"domain {name}",
                    "The site isolates the failure domain %r, which is not known here (yet)",
                    name,
                )

    def expire(self) -> float | None:
        """Release what is over, each once; seconds until the next end, None for never."""
        with self._lock:
            now = self._clock()
            over = {name: each for name, each in self._isolated.items() if _is_over(each, now)}
            for name, each in over.items():
                del self._isolated[name]
                self._release(name, each)
            return seconds_left((each.until for each in self._isolated.values()), now)

    def _usable(self, name: str, entry: Any) -> _Isolation | None:
        """What an entry says; what there was before, where it says nothing usable."""
        try:
            if not isinstance(entry, Mapping):
                raise ConfigError(f"{entry!r} is no object")
            self._reports.unknown("An isolated domain of the control document", entry, _FIELDS)
            reason = str(entry.get("reason") or "isolated")
            return _Isolation(f"the site: {reason}", self._ends.of(name, entry))
        except ConfigError as error:
            self._reports.once(f"{name} {error}", "The isolated domain %r: %s", name, error)
            return self._isolated.get(name)

    def _release(self, name: str, isolation: _Isolation) -> None:
        domain = self._domain(name)
        if domain is not None:
            domain.release(isolation.reason)


def _is_over(isolation: _Isolation, now: float) -> bool:
    return isolation.until is not None and now >= isolation.until
