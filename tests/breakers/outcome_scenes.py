"""Recorded outcomes: a real breaker, driven by a clock of its own, as the store has its record."""

from __future__ import annotations

import base64
import contextlib
import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from breakers.models import OutcomeBatch
from breakers.models import partitions as tables
from breakers.runtime import CallNotPermitted, CircuitBreaker
from breakers.runtime.batches import Batch
from breakers.runtime.outcomes import encode
from breakers.runtime.recorder import Recorder
from breakers.runtime.testing import FakeClock
from resilience_site.core import partitions
from tests.breakers.scenes import Scene, instance_name

POLICY = {
    "timeout": 10.0,
    "sliding_window_type": "count",
    "sliding_window_size": 40,
    "minimum_number_of_calls": 20,
    "failure_rate_threshold": 0.5,
    "slow_call_duration_threshold": 1.0,
    "slow_call_rate_threshold": 0.9,
}
# Minutes before the end in which most calls fail.
OUTAGES = ((22, 19), (8, 6.5))


def lived(
    name: str, end: datetime, minutes: float = 30, calls_a_second: int = 8, seed: int = 11
) -> Iterator[Batch]:
    """A breaker's life until `end`, collected every second."""
    chance, clock = random.Random(seed), FakeClock()
    breaker = CircuitBreaker(name=name, clock=clock, chance=chance.random, **POLICY)  # type: ignore[arg-type]
    recorder = Recorder(breaker)
    seconds = round(minutes * 60)
    offset = end.timestamp() - seconds - clock()
    for second in range(seconds):
        left = minutes - second / 60
        share = 0.85 if any(a >= left > b for a, b in OUTAGES) else 0.01
        for _ in range(calls_a_second):
            clock.advance(1 / calls_a_second)
            _call(breaker, clock, chance.random() < share, chance.uniform(0.02, 0.09))
        batch = recorder.collect()
        if batch is not None:
            yield replace(batch, offset=offset)


def _call(breaker: CircuitBreaker, clock: FakeClock, fails: bool, took: float) -> None:
    with contextlib.suppress(CallNotPermitted):
        permit = breaker.acquire()
        if fails:
            permit.failure(TimeoutError("no answer"), took)
        else:
            permit.success(took)


def store(scene: Scene, end: datetime, minutes: float = 30, number: int = 1) -> list[Batch]:
    """Store what a breaker recorded until `end` in one instance."""
    batches = list(lived(scene.name, end, minutes))
    partitions.ensure(tables.OUTCOMES, end - timedelta(minutes=minutes), end + timedelta(minutes=1))
    OutcomeBatch.objects.bulk_create(
        [
            OutcomeBatch(
                id=uuid.uuid4(),
                at=batch.until + timedelta(milliseconds=40),
                service=scene.service,
                name=scene.name,
                instance=instance_name(scene.service, number),
                data=base64.b64decode(encode(batch)),
            )
            for batch in batches
        ],
        batch_size=500,
    )
    return batches
