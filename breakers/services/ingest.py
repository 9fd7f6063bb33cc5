"""The tap of `resilience.*` telemetry: what services tell becomes rows of the control plane.

It runs inside the transaction that stores the telemetry, which keeps out what was sent before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction

from breakers.domain import signals
from breakers.domain.keys import breaker_key
from breakers.models import partitions as tables
from breakers.services import bounds, observed
from breakers.services.bounds import admitted
from breakers.services.commands import command_report, commands_finish
from breakers.services.counts import Counts
from breakers.services.documents import document_refresh
from breakers.services.observed import Place, StateSeen
from resilience_site.core import partitions, taps
from resilience_site.core.journal import Entry
from resilience_site.core.partitions import PartitionedTable
from resilience_site.core.taps import EventSeen, PointSeen

PREFIX = "resilience."
_MOST_HINTS = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GAUGES_OF_BULKHEADS = {
    f"resilience.bulkhead.{name}": name for name in ("active", "queued", "limit")
}
_GAUGES_OF_BUDGETS = {
    f"resilience.retry.{name}": name for name in ("window_calls", "window_retries", "budget_left")
}


def register() -> None:
    """Listen to what is received from now on."""
    taps.register(taps.Tap(PREFIX, take_events, take_points, make_partitions))


def make_partitions(times: Sequence[int], received_at: datetime) -> None:
    """The partitions that items of these times fall into (each one, not the span between)."""
    for table in (
        tables.CALLS,
        tables.CALL_MINUTES,
        tables.RETRIES,
        tables.FALLBACKS,
        tables.BULKHEADS,
        tables.OUTCOMES,
    ):
        for start in {table.floor(moment(at_ns)) for at_ns in times}:
            if _kept(table, start, received_at):
                partitions.ensure(table, start, start)


def _kept(table: PartitionedTable, start: datetime, now: datetime) -> bool:
    # What would be dropped at once is not counted: a partition for it would come and go.
    return start + table.width > now - table.retention()


def _holds(table: PartitionedTable, at_ns: int, now: datetime) -> bool:
    return _kept(table, table.floor(moment(at_ns)), now)


def moment(at_ns: int) -> datetime:
    """The time of so many nanoseconds since the epoch, to the microsecond."""
    return _EPOCH + timedelta(microseconds=at_ns // 1_000)


class EventBatch:
    """The events of one request, sorted by what they become."""

    def __init__(self, received_at: datetime) -> None:
        self.received_at = received_at
        self.counts = Counts()
        self.states: dict[Place, StateSeen] = {}
        self.transitions: dict[str, tuple[Any, ...]] = {}
        self.policies: dict[Place, tuple[dict[str, Any], datetime]] = {}
        self.members: set[tuple[str, str, str]] = set()
        self.breaches: dict[str, tuple[Any, ...]] = {}
        self.outcomes: list[tuple[Any, ...]] = []
        self.reports: list[tuple[signals.Reported, EventSeen]] = []
        self.entries: dict[tuple[str, str, str, str, str], Entry] = {}

    def tell(
        self, topic: str, kind: str, key: str, service: str, state: str = "", **more: Any
    ) -> None:
        """One hint for all that happened alike, of each instance that says so; the newest says
        what, and stands in its own place."""
        alike = (topic, kind, key, state, str(more.get("instance", "")))
        self.entries.pop(alike, None)
        self.entries[alike] = Entry(topic, kind, key, state, service, more)

    def within(self, table: PartitionedTable, event: EventSeen) -> bool:
        return _holds(table, event.at_ns, self.received_at)

    def write(self) -> list[Entry]:
        """Everything into its table; what the journal is to be told."""
        at = self.received_at
        if self.states and self.policies:
            observed.breakers_hold([*self.states, *self.policies])
        observed.transitions_apply(self.states, at)
        observed.policies_apply(self.policies, at)
        observed.transitions_add(self.transitions.values(), at)
        observed.breaches_add(self.breaches.values())
        if observed.members_add(self.members):
            self._refresh({service for _, service, _ in self.members})
        self.counts.write()
        observed.outcomes_add(self.outcomes)
        self._report()
        return list(self.entries.values())[:_MOST_HINTS]

    def _refresh(self, services: set[str]) -> None:
        """A domain that is overridden may have got a member."""
        held = {name for (name,) in admitted(bounds.DOCUMENTS, {(name,) for name in services})}
        transaction.on_commit(lambda: document_refresh(services=held), robust=True)

    def _report(self) -> None:
        """What instances did of the commands, and those that are done with."""
        new = {report.command_id for report, event in self.reports if self._is_new(report, event)}
        if new:
            # The document is locked by others before what this transaction holds.
            transaction.on_commit(
                lambda: commands_finish(command_ids=new, now=datetime.now(UTC)), robust=True
            )

    def _is_new(self, report: signals.Reported, event: EventSeen) -> bool:
        new = command_report(
            command_id=report.command_id,
            service=event.service,
            instance=event.instance,
            outcome=report.outcome,
            output=report.output,
            at=moment(event.at_ns),
        )
        if new:
            self.tell(
                "control", "command.reported", event.service, event.service, report.outcome,
                instance=event.instance, command=str(report.command_id),
            )  # fmt: skip
        return new


def take_events(events: Sequence[EventSeen], received_at: datetime) -> list[Entry]:
    """Events become states, history and counts; what cannot be read is passed over."""
    batch = EventBatch(received_at)
    events = [_storable(event) for event in events]
    for event in sorted(events, key=lambda each: each.at_ns):
        taker = _TAKERS.get(event.name)
        if taker is not None:
            taker(batch, event)
    observed.instances_see(
        {(e.service, e.instance): (e.version, None) for e in events if e.instance}, received_at
    )
    return batch.write()


_Seen = TypeVar("_Seen", EventSeen, PointSeen)


def _storable(seen: _Seen) -> _Seen:
    """Under names that the tables can hold: senders may call themselves anything."""
    return seen._replace(
        service=signals.text(seen.service),
        instance=signals.text(seen.instance),
        version=signals.text(seen.version, 100),
    )


def _transition(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.transition(event.attributes)
    if seen is None:
        return
    at = moment(event.at_ns)
    place = (event.service, seen.name, event.instance)
    probe = None if seen.retry_after is None else at + timedelta(seconds=seen.retry_after)
    batch.states[place] = StateSeen(
        seen.to_state, at, seen.reason, seen.failure_rate, seen.calls,
        probe if seen.to_state == "open" else None,
    )  # fmt: skip
    key = identity(event, seen.from_state, seen.to_state, seen.name)
    batch.transitions[key] = (
        *place, key, at, seen.from_state, seen.to_state, seen.reason, seen.failure_rate, seen.calls,
        event.trace_id[:32],
    )  # fmt: skip
    batch.tell(
        "breakers", "breaker.transition", breaker_key(event.service, seen.name), event.service,
        seen.to_state, name=seen.name, instance=event.instance, from_state=seen.from_state,
        reason=seen.reason,
    )  # fmt: skip


def _rejected(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.rejected(event.attributes)
    if seen is not None:
        name, count = seen
        live = batch.within(tables.CALLS, event)
        batch.counts.add_calls(
            event.at_ns, event.service, name, event.instance, live=live, rejected=count
        )
        batch.tell("calls", "breaker.calls", event.service, event.service)


def _attempt(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.attempt(event.attributes)
    if seen is not None:
        batch.counts.add_attempt(event.at_ns, event.service, *seen)
        batch.tell("retries", "retry.attempt", event.service, event.service)


def _exhausted(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.attempt(event.attributes)
    if seen is not None:
        batch.counts.add_attempt(
            event.at_ns, event.service, seen.dependency, "", "budget_exhausted", 0.0
        )
        batch.tell(
            "retries", "retry.budget_exhausted", event.service, event.service, seen.dependency
        )


def _served(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.served(event.attributes)
    if seen is not None:
        batch.counts.add_served(event.at_ns, event.service, *seen)
        batch.tell("fallbacks", "fallback.served", event.service, event.service, seen.dependency)


def _turned(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.turned(event.attributes)
    if seen is not None:
        batch.counts.add_turned(event.at_ns, event.service, *seen)
        batch.tell("bulkheads", "bulkhead.rejected", event.service, event.service)


def _breach(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.breach(event.attributes)
    if seen is None:
        return
    key = identity(event, *seen)
    place = (event.service, seen.name, event.instance)
    batch.breaches[key] = (*place, key, moment(event.at_ns), seen.kind, seen.mitigation)
    batch.tell(
        "bulkheads", "bulkhead.breach", event.service, event.service, seen.kind, name=seen.name,
        mitigation=seen.mitigation,
    )  # fmt: skip


def _configured(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.configured(event.attributes)
    if seen is None:
        return
    place = (event.service, seen.name, event.instance)
    batch.policies[place] = (seen.policy, moment(event.at_ns))
    batch.members.update((domain, event.service, seen.name) for domain in seen.domains)
    key = breaker_key(event.service, seen.name)
    batch.tell("breakers", "breaker.configured", key, event.service, name=seen.name)


def _outcomes(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.outcomes(event.attributes)
    if seen is not None and batch.within(tables.OUTCOMES, event):
        name, data = seen
        digest = blake2b(data, digest_size=16, key=name.encode()[:64]).digest()
        batch.outcomes.append(
            (event.service, name, event.instance, UUID(bytes=digest), moment(event.at_ns), data)
        )


def _reported(batch: EventBatch, event: EventSeen) -> None:
    seen = signals.reported(event.attributes)
    if seen is not None and event.instance:
        batch.reports.append((seen, event))


def _degraded(batch: EventBatch, event: EventSeen) -> None:
    level = signals.text(event.attributes.get("resilience.degraded.level"))
    batch.tell("degraded", "degraded.applied", event.service, event.service, level)


_TAKERS: dict[str, Callable[[EventBatch, EventSeen], None]] = {
    "resilience.breaker.transition": _transition,
    "resilience.breaker.rate_exceeded": _transition,
    "resilience.breaker.rejected": _rejected,
    "resilience.breaker.configured": _configured,
    "resilience.breaker.outcomes": _outcomes,
    "resilience.retry.attempt": _attempt,
    "resilience.retry.budget_exhausted": _exhausted,
    "resilience.fallback.served": _served,
    "resilience.bulkhead.rejected": _turned,
    "resilience.bulkhead.breach": _breach,
    "resilience.degraded.changed": _degraded,
    "resilience.healing.reported": _reported,
}


def identity(event: EventSeen, *more: str) -> str:
    """An id made of what happened, the same whenever it is told: 32 hex digits."""
    parts = "\0".join((event.name, event.service, event.instance, str(event.at_ns), *more))
    return blake2b(parts.encode("utf-8", "replace"), digest_size=16).hexdigest()


def take_points(points: Sequence[PointSeen], received_at: datetime) -> list[Entry]:
    """Metric points become counts of calls and the present state of gauges."""
    counts = Counts()
    states: dict[Place, StateSeen] = {}
    bulkheads: dict[Place, dict[str, int]] = {}
    budgets: dict[Place, dict[str, int]] = {}
    began: dict[tuple[str, str], tuple[str, datetime | None]] = {}
    told: set[tuple[str, str]] = set()
    for point in sorted(map(_storable, points), key=lambda each: each.at_ns):
        service, instance = point.service, point.instance
        if instance:
            began[(service, instance)] = (
                point.version,
                _later(began.get((service, instance)), point),
            )
        if point.name in _GAUGES_OF_BULKHEADS:
            _gauge(bulkheads, point, "resilience.bulkhead.name", _GAUGES_OF_BULKHEADS)
            told.add(("bulkheads", service))
        elif point.name in _GAUGES_OF_BUDGETS:
            _gauge(budgets, point, "resilience.dependency", _GAUGES_OF_BUDGETS)
            told.add(("retries", service))
        elif point.name == "resilience.breaker.state":
            _state(states, point)
        elif _calls(counts, point, received_at):
            told.add(("calls", service))
    observed.instances_see(began, received_at)
    observed.states_apply(states, received_at)
    observed.bulkheads_apply(bulkheads, received_at)
    observed.budgets_apply(budgets, received_at)
    counts.write()
    return [
        Entry(topic, f"{topic}.figures", service, service=service)
        for topic, service in sorted(told)
    ]


def _later(known: tuple[str, datetime | None] | None, point: PointSeen) -> datetime | None:
    """When the totals of an instance began; only those of counted calls begin with its process."""
    before = known[1] if known else None
    if point.name != "resilience.breaker.calls" or not point.start_ns:
        return before
    start = moment(point.start_ns)
    return start if before is None or start > before else before


def _gauge(
    gauges: dict[Place, dict[str, int]], point: PointSeen, name_key: str, names: dict[str, str]
) -> None:
    name = signals.text(point.attributes.get(name_key))
    value = signals.count(point.value)
    if name and value is not None:
        place = (point.service, name, point.instance)
        gauges.setdefault(place, {})[names[point.name]] = value


def _state(states: dict[Place, StateSeen], point: PointSeen) -> None:
    name = signals.text(point.attributes.get("resilience.breaker.name"))
    state = signals.state(point.attributes.get("resilience.breaker.state"))
    if name and state and point.value:
        states[(point.service, name, point.instance)] = StateSeen(state, moment(point.at_ns))


def _calls(counts: Counts, point: PointSeen, received_at: datetime) -> bool:
    """Add a point of the calls' histogram, or of the counter of slow ones; whether it was one."""
    name = signals.text(point.attributes.get("resilience.breaker.name"))
    increase = signals.count(point.increase)
    if not name or not increase:
        return False
    where = (point.at_ns, point.service, name, point.instance)
    live = _holds(tables.CALLS, point.at_ns, received_at)
    if point.name == "resilience.breaker.slow_calls":
        counts.add_calls(*where, live=live, slow=increase)
        return True
    if point.name != "resilience.breaker.calls":
        return False
    outcome = str(point.attributes.get("resilience.breaker.outcome"))
    if outcome in ("success", "failure"):
        counts.add_calls(
            *where,
            live=live,
            calls=increase,
            failures=increase if outcome == "failure" else 0,
            seconds=signals.number(point.seconds) or 0.0,
        )
    else:
        counts.add_calls(*where, live=live, ignored=increase)
    return True
