"""Memory: what is available on the worker's machine, and how much of its swap is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psutil

from health.checks import machine
from health.checks.base import CheckKind, Context, Finding, kind
from health.checks.judgement import Judgement, require_limits

_MOST: Final = float(2**63)


@dataclass(frozen=True)
class MemoryOptions:
    """Options of a memory check; available is what programs can get without swapping."""

    available_warn_percent: float | None = 10.0
    available_fail_percent: float | None = 5.0
    available_warn_bytes: float | None = None
    available_fail_bytes: float | None = None
    swap_warn_percent: float | None = None
    swap_fail_percent: float | None = None


@kind("memory", "Memory")
class MemoryCheck(CheckKind[MemoryOptions]):
    Options = MemoryOptions

    def validate(self, options: MemoryOptions) -> None:
        require_limits(options, "available", "percent", high=100.0, low_is_bad=True)
        require_limits(options, "available", "bytes", high=_MOST, low_is_bad=True)
        require_limits(options, "swap", "percent", high=100.0)

    def hosts(self, options: MemoryOptions) -> tuple[tuple[str, int], ...]:
        return ()

    async def run(self, options: MemoryOptions, context: Context) -> Finding:
        context.doing("reading the state of the memory")
        memory, swap = await machine.look("memory", _read)
        judgement = Judgement()
        available = 100.0 * memory.available / memory.total
        judgement.observe("available", available, "percent")
        judgement.observe("available_bytes", memory.available, "bytes")
        judgement.observe("total_bytes", memory.total, "bytes")
        judgement.observe("swap", swap.percent, "percent")
        words = (
            f"{available:.1f} % of the memory is available"
            f" ({memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB)"
        )
        judgement.at_least(
            available,
            words,
            warn=options.available_warn_percent,
            fail=options.available_fail_percent,
            unit="%",
        )
        judgement.at_least(
            memory.available,
            f"{memory.available / 2**30:.1f} GiB of memory are available",
            warn=options.available_warn_bytes,
            fail=options.available_fail_bytes,
            unit="bytes",
        )
        judgement.at_most(
            swap.percent,
            f"{swap.percent:.0f} % of the swap is in use",
            warn=options.swap_warn_percent,
            fail=options.swap_fail_percent,
            unit="%",
        )
        return judgement.finding(words)


def _read() -> tuple[Any, Any]:
    return psutil.virtual_memory(), psutil.swap_memory()
