"""For the tests of services that use the library: a clock to turn, faults to inject, events to read.

clock = FakeClock()
resilience = Resilience(clock=clock, sleep=clock.sleep, async_sleep=clock.async_sleep)

with FaultInjector(enabled=True).inject("microsoft_graph", error=ConnectionError, rate=0.5):
    ...
"""

from __future__ import annotations

from breakers.runtime.testing.clock import FakeClock
from breakers.runtime.testing.faults import Fault, FaultInjector
from breakers.runtime.testing.recorded import recorded_events

__all__ = ["FakeClock", "Fault", "FaultInjector", "recorded_events"]
