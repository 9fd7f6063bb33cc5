"""What one protected call costs above a bare one, beside the peers, in one interleaved run.

Each round measures every contestant of every group once, in turn, so that a busy moment of the
machine meets all. A rejection is measured on a breaker that failures have opened.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import time
import tracemalloc
from typing import Any, NamedTuple

from tests.bench import runtime_peers as peers
from tests.bench.runtime_peers import Function

ROUNDS = 9
CALLS = 3000
BARE, REJECTION = "bare", "rejection"


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


class Runner(NamedTuple):
    """One wrapped function of one contestant in one group."""

    group: str
    kind: str
    name: str
    function: Function


def plain() -> int:
    return 1


async def coroutine() -> int:
    return 1


def failing() -> None:
    raise ConnectionError


async def failing_coroutine() -> None:
    raise ConnectionError


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


def _runners() -> list[Runner]:
    """Every contestant of every group, and the bare functions."""
    found = [Runner(BARE, "sync", BARE, plain), Runner(BARE, "async", BARE, coroutine)]
    for group, contestants in (
        ("breaker", peers.breakers()),
        (REJECTION, peers.opened()),
        ("retry", peers.retries()),
        ("bulkhead", peers.bulkheads()),
        ("pipeline", peers.pipelines()),
    ):
        rejects = group == REJECTION
        for each in contestants:
            if each.sync:
                wrapped = each.wrap(failing if rejects else plain)
                found.append(Runner(group, "sync", each.name, wrapped))
            if each.coroutine:
                wrapped = each.wrap(failing_coroutine if rejects else coroutine)
                found.append(Runner(group, "async", each.name, wrapped))
    return found


def overheads() -> dict[str, dict[str, dict[str, float]]]:
    """Nanoseconds above a bare call by group, kind and contestant: the median over the rounds of
    what a contestant took more than the bare call of the same round."""
    runners = _runners()
    rounds: dict[tuple[str, str, str], list[float]] = {each[:3]: [] for each in runners}
    with asyncio.Runner() as loop:

        def measure(each: Runner) -> float:
            rejects = each.group == REJECTION
            if each.kind == "sync":
                return _sync_round(each.function, rejects)
            return loop.run(_async_round(each.function, rejects))

        for each in runners:
            measure(each)  # warm, and open by the first failures
        for number in range(ROUNDS):
            bare: dict[str, float] = {}
            # Bare calls first; each second round goes backwards, against drifts.
            others = runners[2:] if number % 2 else runners[:1:-1]
            gc.collect()
            gc.disable()
            try:
                for each in (*runners[:2], *others):
                    taken = measure(each)
                    bare.setdefault(each.kind, taken)
                    rounds[each[:3]].append(taken - bare[each.kind])
            finally:
                gc.enable()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (group, kind, name), above in rounds.items():
        if group != BARE:
            found.setdefault(group, {}).setdefault(kind, {})[name] = statistics.median(above)
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
        "overhead_ns": overheads(),
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
