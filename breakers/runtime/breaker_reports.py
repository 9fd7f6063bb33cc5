"""What a connection tells of each breaker by name: what it works by, and what happened to it."""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from breakers.runtime.call_meter import CallMeter, CallsOfOutcome
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerPolicy
from breakers.runtime.outcomes import encode
from breakers.runtime.policy_fields import MAX_WINDOW_CALLS, is_bounded, to_fields
from breakers.runtime.recorder import Recorder
from breakers.runtime.reports import Reports

if TYPE_CHECKING:
    from breakers.runtime.resilience import Resilience

logger = logging.getLogger(__name__)

MAX_HELD = 4 << 20
"""Characters of batches that may wait to be sent, as when the site is down."""
_NAME = "resilience.breaker.name"

Send = Callable[[str, dict[str, Any]], None]


class _Batch(str):
    """A text that can be referred to weakly: so it shows how much OpenTelemetry still holds."""

    __slots__ = ("__weakref__",)


class BreakerReports:
    """The meters of a `Resilience`'s breakers, and what they are to tell.

    With `record` each call is told, and else only how many there were. `lost` counts the batches
    that were not sent because too much waits already; their numbers show the gap.
    """

    def __init__(self, resilience: Resilience, send: Send, *, record: bool) -> None:
        self._resilience = resilience
        self._send = send
        self._record = record
        self._meters: dict[str, tuple[CircuitBreaker, CallMeter | Recorder]] = {}
        self._told: dict[str, tuple[BreakerPolicy, tuple[str, ...]]] = {}
        self._held: weakref.WeakSet[_Batch] = weakref.WeakSet()
        self._reports = Reports(logger)
        self.lost = 0

    def observe(self, breaker: CircuitBreaker) -> None:
        """Meter one more breaker."""
        meter: CallMeter | Recorder
        if self._record and self._is_recordable(breaker):
            meter = Recorder(breaker)
        else:
            meter = CallMeter()
            breaker.meter(meter)
        self._meters[breaker.name] = breaker, meter

    def stop(self) -> None:
        """Let the breakers go, as far as nobody else meters them by now."""
        for breaker, meter in self._meters.values():
            if breaker._meter is meter:
                breaker.meter(None)

    def calls(self) -> Iterator[tuple[str, CallsOfOutcome]]:
        """The calls of each breaker so far."""
        for name, (_, meter) in list(self._meters.items()):
            for counted in meter.read():
                yield name, counted

    def tell(self) -> None:
        """Send what is new: policies that changed, and what happened since the last time."""
        for name, (breaker, meter) in list(self._meters.items()):
            self._tell_policy(name, breaker)
            if isinstance(meter, Recorder):
                self._tell_outcomes(name, breaker, meter)

    def _tell_policy(self, name: str, breaker: CircuitBreaker) -> None:
        now = breaker.policy, self._resilience.bulkheads.domains_of(breaker)
        if self._told.get(name) == now:
            return
        policy, domains = self._told[name] = now
        told = {
            _NAME: name,
            "resilience.breaker.policy": json.dumps(to_fields(policy)),
            "resilience.breaker.domains": ",".join(domains),
        }
        self._send("resilience.breaker.configured", told)

    def _tell_outcomes(self, name: str, breaker: CircuitBreaker, recorder: Recorder) -> None:
        batch = recorder.collect()
        if batch is None:
            return
        if not self._is_recordable(breaker) or sum(map(len, list(self._held))) >= MAX_HELD:
            self.lost += 1
            return
        try:
            text = _Batch(encode(batch))
        except ValueError as error:
            self.lost += 1
            self._reports.once(f"size {name}", "Outcomes of breaker %r: %s", name, error)
            return
        self._held.add(text)
        told = {_NAME: name, "resilience.breaker.batch": text}
        self._send("resilience.breaker.outcomes", told)

    def _is_recordable(self, breaker: CircuitBreaker) -> bool:
        if is_bounded(breaker.policy):
            return True
        self._reports.once(
            breaker.name,
            "Outcomes of breaker %r are not recorded: its window holds more than %d calls",
            breaker.name,
            MAX_WINDOW_CALLS,
        )
        return False
