"""What one protected call costs above a bare one, beside the peers, in one interleaved run.

Each round measures every contestant once, in turn, so that a busy moment of the machine meets all;
the figure of a contestant is the median of its rounds, less that of the bare call.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.bench import runtime_peers as peers
from tests.bench.runtime_peers import Contestant, Function

ROUNDS = 9
CALLS = 4000


class Aim(NamedTuple):
    """Our figure has to be at most `ratio` times the peer's."""

    ours: str
    peer: str
    ratio: float


AIMS = {
    "breaker": Aim("ours: time window, slow calls", "nopanic: time window, slow calls", 0.8),
    "rejection": Aim("ours", "circuitbreaker", 1.0),
    "retry": Aim("ours: with budget", "nopanic: with budget", 1.0),
    "bulkhead": Aim("ours: with tiers", "nopanic", 1.0),
    "pipeline": Aim("ours", "nopanic", 3.5 / 3.6),
}


def plain() -> int:
    return 1


async def coroutine() -> int:
    return 1


def _sync_round(function: Function, rejects: bool) -> float:
    began = time.perf_counter()
    if rejects:
        for _ in range(CALLS):
            try:
                function()
            except Exception:
                continue
    else:
        for _ in range(CALLS):
            function()
    return (time.perf_counter() - began) / CALLS * 1e9


async def _async_round(function: Function, rejects: bool) -> float:
    began = time.perf_counter()
    if rejects:
        for _ in range(CALLS):
            try:
                await function()
            except Exception:
                continue
    else:
        for _ in range(CALLS):
            await function()
    return (time.perf_counter() - began) / CALLS * 1e9


def _measured(
    functions: dict[str, Function], measure: Callable[[Function], float]
) -> dict[str, float]:
    """Nanoseconds a call above the first function, which is the bare one."""
    rounds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        measure(function)  # warm
    for _ in range(ROUNDS):
        for name, function in functions.items():
            gc.collect()
            gc.disable()
            try:
                rounds[name].append(measure(function))
            finally:
                gc.enable()
    medians = {name: statistics.median(each) for name, each in rounds.items()}
    bare = medians.pop("bare")
    return {name: each - bare for name, each in medians.items()}


def overheads(contestants: list[Contestant], *, rejects: bool = False) -> dict[str, Any]:
    """For plain and coroutine functions: nanoseconds above a bare call, by contestant."""
    sync = {"bare": plain} | {c.name: c.wrap(plain) for c in contestants if c.sync}
    found = {"sync": _measured(sync, lambda function: _sync_round(function, rejects))}
    with asyncio.Runner() as runner:
        wrapped = {"bare": coroutine} | {
            c.name: c.wrap(coroutine) for c in contestants if c.coroutine
        }
        found["async"] = _measured(
            wrapped, lambda function: runner.run(_async_round(function, rejects))
        )
    return found


def bytes_per_keyed_breaker(count: int = 10_000) -> float:
    """What one more breaker by key keeps in memory, its place in the registry included."""
    from breakers.runtime import BreakerRegistry, ClientVariables

    registry = BreakerRegistry(ClientVariables({}), max_keyed=count)
    registry.keyed("bench", "first")
    keys = [f"tenant-{number}" for number in range(count - 1)]
    gc.collect()
    tracemalloc.start()
    try:
        for key in keys:
            registry.keyed("bench", key)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / len(keys)
    finally:
        tracemalloc.stop()


def import_milliseconds(runs: int = 9) -> float:
    """How long `import breakers.runtime` takes in a fresh interpreter, less the interpreter."""

    def seconds(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    pairs = [(seconds("import breakers.runtime"), seconds("pass")) for _ in range(runs)]
    return statistics.median(full - empty for full, empty in pairs) * 1000


def measure() -> dict[str, Any]:
    """All figures of the runtime."""
    return {
        "overhead_ns": {
            "breaker": overheads(peers.breakers()),
            "rejection": overheads(peers.opened(), rejects=True),
            "retry": overheads(peers.retries()),
            "bulkhead": overheads(peers.bulkheads()),
            "pipeline": overheads(peers.pipelines()),
        },
        "bytes_per_keyed_breaker": bytes_per_keyed_breaker(),
        "import_ms": import_milliseconds(),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as text, with the ratio to the peer that is to be beaten."""
    lines = []
    for group, found in figures["overhead_ns"].items():
        aim = AIMS[group]
        for kind, contestants in found.items():
            peer = contestants.get(aim.peer)
            for name, nanoseconds in contestants.items():
                ratio = f"{nanoseconds / peer:6.2f} x" if peer else ""
                verdict = ""
                if name == aim.ours and peer:
                    met = nanoseconds <= aim.ratio * peer
                    verdict = f"  aim {aim.ratio:.2f} x {aim.peer}: {'met' if met else 'MISSED'}"
                lines.append(
                    f"{group:<10} {kind:<6} {name:<34} {nanoseconds:>8,.0f} ns {ratio}{verdict}"
                )
    size, load = figures["bytes_per_keyed_breaker"], figures["import_ms"]
    lines.append(f"bytes per keyed breaker {size:,.0f}  aim 1,024: {_met(size <= 1024)}")
    lines.append(f"import breakers.runtime {load:.0f} ms  aim 100: {_met(load <= 100)}")
    return "\n".join(lines)


def _met(met: bool) -> str:
    return "met" if met else "MISSED"
