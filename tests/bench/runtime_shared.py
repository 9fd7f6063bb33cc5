"""What it costs to share breakers over Valkey, and how fast a verdict reaches a replica."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import closing
from typing import Any

from breakers.runtime import CircuitBreaker, CircuitState, share
from tests.runtime.valkey import OwnValkey

TRIPS = 200
CALLS = 20_000


def measure() -> dict[str, Any]:
    """Propagation, commands per call, and the caller's p99 while Valkey runs and while it hangs."""
    valkey = OwnValkey()
    try:
        one = CircuitBreaker(1, 60, name="bench")
        two = CircuitBreaker(1, 60, name="bench")
        with (
            closing(share([one], valkey.client(), namespace="bench", poll=60)) as mine,
            closing(share([two], valkey.client(), namespace="bench", poll=60)) as theirs,
        ):
            while not (mine.status().connected and theirs.status().connected):
                time.sleep(0.01)
            times = _propagation(valkey, one, two)
            call = one(lambda: None)
            before = _scripts(valkey)
            running = _p99(call)
            after = _scripts(valkey)
            valkey.hold()
            hanging = _p99(call)
            valkey.resume()
        return {
            "propagation_ms_p50": statistics.median(times),
            "propagation_ms_p99": times[int(len(times) * 0.99)],
            "commands_per_call": (after - before) / CALLS,
            "caller_us_p99_running": running,
            "caller_us_p99_hanging": hanging,
        }
    finally:
        valkey.close()


def _scripts(valkey: OwnValkey) -> int:
    """Scripts run so far: all that the lanes ask of Valkey is a script."""
    found = valkey.client().info("commandstats").get("cmdstat_eval", {"calls": 0})
    return int(found["calls"])


def _propagation(valkey: OwnValkey, one: CircuitBreaker, two: CircuitBreaker) -> list[float]:
    """Milliseconds from one replica's trip to the other's refusal, sorted."""
    times = []
    for _ in range(TRIPS):
        opened = threading.Event()
        stop = two.on_event(
            lambda event, opened=opened: (
                opened.set()  # type: ignore[misc]
                if event.to_state is CircuitState.OPEN
                else None
            )
        )
        began = time.perf_counter()
        one.acquire().failure(OSError())
        # A verdict that never arrives counts as the longest that is waited for it.
        opened.wait(1)
        times.append((time.perf_counter() - began) * 1000)
        stop()
        valkey.client().flushall()
        one.reset()
        two.reset()
        time.sleep(0.01)
    return sorted(times)


def _p99(call: Any) -> float:
    """Microseconds, over `CALLS` calls spread over a second."""
    taken = []
    for number in range(CALLS):
        began = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - began)
        if number % 1000 == 0:
            time.sleep(0.05)
    return sorted(taken)[int(CALLS * 0.99)] / 1000


def table(figures: dict[str, Any]) -> str:
    p50, p99 = figures["propagation_ms_p50"], figures["propagation_ms_p99"]
    running, hanging = figures["caller_us_p99_running"], figures["caller_us_p99_hanging"]
    added = (hanging - running) / 1000
    return "\n".join(
        (
            f"shared state: verdict at another replica p50 {p50:.1f} ms, p99 {p99:.1f} ms"
            f"  aim 50: {'met' if p99 <= 50 else 'MISSED'}",
            f"shared state: commands a call {figures['commands_per_call']:.4f}"
            f"  aim 0: {'met' if not figures['commands_per_call'] else 'MISSED'}",
            f"shared state: a call's p99 {running:.1f} µs, {hanging:.1f} µs with Valkey hanging"
            f"  aim +200 µs: {'met' if added <= 0.2 else 'MISSED'}",
        )
    )
