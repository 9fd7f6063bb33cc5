"""Measurements against thresholds: what a kind observes, and the verdict that they come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from health.checks.base import Failed, Finding, Observed
from health.checks.options import OptionError, require_range


class Judgement:
    """Collects the measurements of one run; the worst of them is the verdict.

    Thresholds are inclusive: a value that reaches `warn` degrades, one that reaches `fail` fails.
    """

    def __init__(self) -> None:
        self.observed: dict[str, Observed] = {}
        self._warnings: list[str] = []
        self._failures: list[str] = []

    def observe(self, name: str, value: float | None, unit: str = "1") -> None:
        """Keep a measurement; None is one that could not be taken."""
        if value is not None:
            self.observed[name] = Observed(float(value), unit)

    def warn(self, words: str) -> None:
        self._warnings.append(words)

    def fail(self, words: str) -> None:
        self._failures.append(words)

    def at_most(
        self, value: float | None, words: str, *, warn: float | None, fail: float | None, unit: str
    ) -> None:
        """Judge a value that is bad when it is high; None is not judged."""
        if value is None:
            return
        if fail is not None and value >= fail:
            self.fail(f"{words} (fails from {fail:g} {unit})")
        elif warn is not None and value >= warn:
            self.warn(f"{words} (warns from {warn:g} {unit})")

    def at_least(
        self, value: float | None, words: str, *, warn: float | None, fail: float | None, unit: str
    ) -> None:
        """Judge a value that is bad when it is low; None is not judged."""
        if value is None:
            return
        if fail is not None and value <= fail:
            self.fail(f"{words} (fails at {fail:g} {unit})")
        elif warn is not None and value <= warn:
            self.warn(f"{words} (warns at {warn:g} {unit})")

    def finding(
        self,
        words: str,
        *,
        latency_ms: float | None = None,
        memory: Mapping[str, Any] | None = None,
    ) -> Finding:
        """The finding; `words` where nothing is wrong. Raises `Failed` where something failed."""
        if self._failures:
            raise Failed("; ".join([*self._failures, *self._warnings]), self.observed, memory)
        status = "degraded" if self._warnings else "up"
        output = "; ".join(self._warnings) or words
        return Finding(status, output, self.observed, latency_ms, memory)


def require_limits(
    options: Any, stem: str, unit: str, *, high: float, low_is_bad: bool = False
) -> None:
    """Refuse `{stem}_warn_{unit}` and `{stem}_fail_{unit}` out of range or in the wrong order."""
    warn_name, fail_name = f"{stem}_warn_{unit}", f"{stem}_fail_{unit}"
    warn, fail = getattr(options, warn_name), getattr(options, fail_name)
    for name, value in ((warn_name, warn), (fail_name, fail)):
        if value is not None:
            require_range(name, value, 0.0, high)
    if warn is None or fail is None:
        return
    if low_is_bad and warn < fail:
        raise OptionError(warn_name, f"must not be below {fail_name}, which is {fail:g}")
    if not low_is_bad and warn > fail:
        raise OptionError(warn_name, f"must not be above {fail_name}, which is {fail:g}")
