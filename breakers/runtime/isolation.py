"""Isolation boundaries: limits for a kind of resource, who may start within them, and breaches.

manager = BulkheadManager()
boundary = await manager.create_isolation_boundary("graph", ResourceLimits(10, 50, 30))

if await manager.enforce_resource_limits(Operation("sync"), boundary):
    await boundary.bulkhead.call(sync)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakers.runtime import breaches, checks
from breakers.runtime.breaches import Breach
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.bulkhead_policy import SiteTuning
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.defaults import boundary_settings
from breakers.runtime.errors import BulkheadFull
from breakers.runtime.failure_domains import FailureDomain, Member, SiteIsolation
from breakers.runtime.rate_limit import RateLimit
from breakers.runtime.thread_pool import ThreadPoolBulkhead
from breakers.runtime.tiers import tier
from breakers.runtime.variables import ClientVariables

_PAGE = 4096
_STATM = "/proc/self/statm"


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What a boundary allows: calls at once, calls that wait, seconds for each.

    `rate_per_second` bounds starts. `memory_bytes` bounds the resident memory of the whole process:
    what one call takes of it cannot be told apart. `threads` gives the calls threads of their own.
    """

    thread_pool_size: int = 10
    queue_size: int = 50
    timeout_seconds: float = 30.0
    rate_per_second: float | None = None
    memory_bytes: int | None = None
    tiers: Mapping[str, Any] | None = None
    threads: bool = False

    def __post_init__(self) -> None:
        checks.count("thread_pool_size", self.thread_pool_size)
        checks.count("queue_size", self.queue_size, minimum=0)
        checks.seconds("timeout_seconds", self.timeout_seconds)
        if self.rate_per_second is not None and (
            not checks.is_number(self.rate_per_second) or self.rate_per_second <= 0
        ):
            checks.refuse("rate_per_second", self.rate_per_second, "a number above 0")
        if self.memory_bytes is not None:
            checks.count("memory_bytes", self.memory_bytes)


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that wants to start; `expected_seconds` is what it takes, where that is known."""

    name: str
    tier: str = ""
    expected_seconds: float | None = None


@dataclass(slots=True)
class IsolationBoundary:
    """A bulkhead with its limits; `last_refusal` says why the last operation might not start.

    `fixed` limits are an argument of the code, which is stronger than what the site gives.
    """

    resource_type: str
    limits: ResourceLimits
    bulkhead: Bulkhead
    rate: RateLimit | None = None
    last_refusal: str = ""
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A dependency that fails; without a `domain`, the one that the dependency belongs to."""

    dependency: str
    reason: str = "failing"
    domain: str = ""


@dataclass(frozen=True, slots=True)
class IsolationResult:
    """What was cut off; not `isolated` where there was nothing to cut off."""

    domain: str
    isolated: bool
    members: tuple[str, ...] = field(default=())
    reason: str = ""


class BulkheadManager:
    """Boundaries by resource type, and failure domains by name.

    `breakers` finds the breaker of a dependency that is in no domain, for `isolate_failure_domain`.
    A breaker that is `overridden` is left as it is while its domain is isolated or released.
    """

    def __init__(
        self,
        variables: ClientVariables | None = None,
        *,
        breakers: Callable[[str], CircuitBreaker | None] = lambda name: None,
        overridden: Callable[[CircuitBreaker], bool] = lambda breaker: False,
        clock: Callable[[], float] = time.monotonic,
        resident_memory: Callable[[], int | None] | None = None,
    ) -> None:
        self._variables = variables or ClientVariables()
        self._breakers = breakers
        self._overridden = overridden
        self._clock = clock
        self._resident = resident_memory or resident_bytes
        self._lock = threading.RLock()
        self._boundaries: dict[str, IsolationBoundary] = {}
        self._domains: dict[str, FailureDomain] = {}
        self._domain_of: dict[str, str] = {}
        self._domain_lock = threading.RLock()
        self._site = SiteIsolation(self._domains.get, clock=clock)
        self._tuning = SiteTuning()

    async def create_isolation_boundary(
        self, resource_type: str, limits: ResourceLimits
    ) -> IsolationBoundary:
        """A boundary with these limits; an existing one is resized to them."""
        with self._lock:
            known = self._boundaries.get(resource_type)
            if known is not None and known.limits.threads == limits.threads:
                known.fixed = True
                known.bulkhead.tune({})
                known.bulkhead.resize(limits.thread_pool_size)
                known.limits = limits
                known.rate = self._rate(limits)
                return known
            made = self._make(resource_type, limits)
            made.fixed = True
            self._boundaries[resource_type] = made
            return made

    def boundary(self, name: str, *, tiers: Mapping[str, Any] | None = None) -> IsolationBoundary:
        """The boundary `name`: one that was created, or one of ISOLATION_BOUNDARIES with `tiers`.

        Raises ConfigError for a name that is neither.
        """
        with self._lock:
            known = self._boundaries.get(name)
            if known is not None:
                return known
            settings = boundary_settings(name, self._variables)
            if settings is None:
                checks.refuse("bulkhead", name, "the name of an isolation boundary")
            limits = ResourceLimits(settings.size, settings.queue, settings.timeout, tiers=tiers)
            made = self._make(name, limits)
            self._tuning.settle(name, made.bulkhead)
            self._boundaries[name] = made
            return made

    def boundaries(self) -> list[IsolationBoundary]:
        """All that exist."""
        with self._lock:
            return list(self._boundaries.values())

    async def enforce_resource_limits(
        self, operation: Operation, boundary: IsolationBoundary
    ) -> bool:
        """Whether the operation may start now; a start that is allowed counts toward the rate."""
        reason = self._refusal(operation, boundary)
        boundary.last_refusal = reason
        return not reason

    def enforce(self, operation: Operation, boundary: IsolationBoundary) -> None:
        """The same; raises BulkheadFull instead of answering false."""
        reason = self._refusal(operation, boundary)
        boundary.last_refusal = reason
        if reason:
            kind = {"rate": "rate", "memory": "memory"}.get(reason.split()[0], "queue_full")
            raise BulkheadFull(boundary.resource_type, kind, tier=operation.tier, retry_after=1.0)

    async def detect_isolation_breach(self, boundary: IsolationBoundary) -> Breach | None:
        """The gravest breach of the boundary now; nothing is done about it here."""
        return breaches.detect(boundary.bulkhead)

    async def isolate_failure_domain(self, failure: Failure) -> IsolationResult:
        """Cut off the failure's domain, or its dependency alone where that is in no domain."""
        with self._lock:
            name = failure.domain or self._domain_of.get(failure.dependency, "")
            domain = self._domains.get(name)
            if domain is None and not name:
                breaker = self._breakers(failure.dependency)
                if breaker is not None:
                    name = failure.dependency
                    domain = self._domain(name, [breaker])
                    self._domain_of[name] = name
        if domain is None:
            return IsolationResult(name, False, reason="no such failure domain is known")
        done = domain.isolate(failure.reason)
        members = tuple(member.name for member in domain.members)
        return IsolationResult(name, bool(done or domain.reasons), members, failure.reason)

    def release_failure_domain(self, name: str, reason: str | None = None) -> int:
        """Undo `isolate_failure_domain`; how many members were let go."""
        domain = self._domains.get(name)
        return 0 if domain is None else domain.release(reason)

    def failure_domain(
        self, name: str, members: Iterable[Member] = (), *, dependencies: Iterable[str] = ()
    ) -> FailureDomain:
        """The domain `name`, with these members and dependencies added to it."""
        with self._lock:
            domain = self._domain(name)
            self._domain_of.update(dict.fromkeys(dependencies, name))
        domain.add(*members)
        self._site.declared(name)
        return domain

    def tune(self, document: Mapping[str, Any]) -> None:
        """Work by the `bulkheads` of a control document: name → `policy`, with fields of
        `BulkheadPolicy`. Bulkheads that are made later do so as well, those with limits that the
        code gives as an argument do not."""
        with self._lock:
            if self._tuning.take(document):
                for name, boundary in self._boundaries.items():
                    if not boundary.fixed:
                        self._tuning.settle(name, boundary.bulkhead)

    def apply(self, document: Mapping[str, Any]) -> None:
        """Work by the `isolated` of a control document; see `SiteIsolation.apply`."""
        self._site.apply(document)

    def expire(self) -> float | None:
        """Release what the site isolated and what is over; see `SiteIsolation.expire`."""
        return self._site.expire()

    def hold(self, member: Member) -> bool:
        """Whether an isolated domain keeps this member cut off from now on."""
        return any(domain.hold(member) for domain in list(self._domains.values()))

    def domains_of(self, member: Member) -> tuple[str, ...]:
        """The names of the domains that this member belongs to."""
        with self._lock:
            domains = list(self._domains.values())
        return tuple(sorted(each.name for each in domains if member in each.members))

    def _domain(self, name: str, members: Iterable[Member] = ()) -> FailureDomain:
        known = self._domains.get(name)
        if known is None:
            known = FailureDomain(name, members, stays=self._stays, lock=self._domain_lock)
            self._domains[name] = known
        return known

    def _stays(self, domain: FailureDomain, member: Member) -> bool:
        """Whether the site's override, or another isolated domain, decides the member's state."""
        if isinstance(member, CircuitBreaker) and self._overridden(member):
            return True
        others = [each for each in list(self._domains.values()) if each is not domain]
        return any(each.hold(member) for each in others)

    def _refusal(self, operation: Operation, boundary: IsolationBoundary) -> str:
        if not self._variables.bulkhead_isolation_enabled:
            return ""
        limits, seen = boundary.limits, boundary.bulkhead.snapshot()
        if seen.isolated:
            return f"isolated: {seen.isolated}"
        with tier(operation.tier):
            if not boundary.bulkhead.has_room():
                return f"concurrency: {seen.active} of {seen.limit} run, {seen.queued} wait"
        if not self._variables.resource_limit_enforcement:
            return ""
        expected = operation.expected_seconds
        if expected is not None and expected > limits.timeout_seconds:
            return f"time: {expected:g} s expected, {limits.timeout_seconds:g} s allowed"
        if limits.memory_bytes is not None:
            resident = self._resident()
            if resident is not None and resident > limits.memory_bytes:
                return f"memory: {resident} of {limits.memory_bytes} bytes are taken"
        if boundary.rate is not None and (wait := boundary.rate.try_start()):
            return f"rate: the next start is allowed in {wait:.3f} s"
        return ""

    def _make(self, name: str, limits: ResourceLimits) -> IsolationBoundary:
        kind = ThreadPoolBulkhead if limits.threads else Bulkhead
        tiers = limits.tiers if self._variables.user_tier_isolation_enabled else None
        bulkhead = kind(
            limits.thread_pool_size,
            limits.queue_size,
            limits.timeout_seconds,
            tiers,
            name=name,
            max_duration=limits.timeout_seconds,
            clock=self._clock,
        )
        return IsolationBoundary(name, limits, bulkhead, self._rate(limits))

    def _rate(self, limits: ResourceLimits) -> RateLimit | None:
        rate = limits.rate_per_second
        return None if rate is None else RateLimit(rate, max(1, int(rate)), clock=self._clock)


def resident_bytes() -> int | None:
    """Resident memory of this process; None where the system does not tell (not Linux)."""
    try:
        with open(_STATM) as statm:
            return int(statm.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None
