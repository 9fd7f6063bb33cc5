"""Disk: the free space of a file system of the worker's machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psutil

from health.checks import machine
from health.checks.base import CheckKind, Context, Failed, Finding, kind
from health.checks.judgement import Judgement, require_limits
from health.checks.options import OptionError
from health.checks.words import reason

_MOST: Final = float(2**63)


@dataclass(frozen=True)
class DiskOptions:
    """Options of a disk check: any path of the file system, and how much must stay free on it."""

    path: str = "/"
    free_warn_percent: float | None = 15.0
    free_fail_percent: float | None = 5.0
    free_warn_bytes: float | None = None
    free_fail_bytes: float | None = None


@kind("disk", "Disk space")
class DiskCheck(CheckKind[DiskOptions]):
    Options = DiskOptions

    def validate(self, options: DiskOptions) -> None:
        if not options.path.startswith("/"):
            raise OptionError("path", "must be a whole path, from /")
        require_limits(options, "free", "percent", high=100.0, low_is_bad=True)
        require_limits(options, "free", "bytes", high=_MOST, low_is_bad=True)

    def hosts(self, options: DiskOptions) -> tuple[tuple[str, int], ...]:
        return ()

    async def run(self, options: DiskOptions, context: Context) -> Finding:
        path = options.path
        context.doing(f"waiting for the file system of {path}")
        try:
            usage = await machine.look(f"disk {path}", lambda: psutil.disk_usage(path))
        except OSError as error:
            raise Failed(f"{path} cannot be looked at: {reason(error)}") from None
        judgement = Judgement()
        # Like df: what only root may use is neither free nor counted.
        free = 100.0 - usage.percent
        judgement.observe("free", free, "percent")
        judgement.observe("free_bytes", usage.free, "bytes")
        judgement.observe("total_bytes", usage.total, "bytes")
        words = f"{free:.1f} % of {path} is free ({usage.free / 2**30:.1f} GiB)"
        limits = {"warn": options.free_warn_percent, "fail": options.free_fail_percent}
        judgement.at_least(free, words, **limits, unit="%")
        judgement.at_least(
            usage.free,
            f"{usage.free / 2**30:.1f} GiB of {path} are free",
            warn=options.free_warn_bytes,
            fail=options.free_fail_bytes,
            unit="bytes",
        )
        return judgement.finding(words)
