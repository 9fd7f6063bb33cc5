"""What people are told where a guardrail says no."""

from __future__ import annotations

from typing import Any

from healing.models import HealingRun
from resilience_site.core.problems import Problem


class Refused(Problem):
    """A guardrail refused a run: which, why, and the run that keeps what each of them said."""

    status = 409

    def __init__(self, run: HealingRun, guardrail: str, reason: str) -> None:
        super().__init__(reason)
        self.run = run
        self.guardrail = guardrail
        self.reason = reason

    def members(self) -> dict[str, Any]:
        return {"guardrail": self.guardrail, "reason": self.reason, "run": str(self.run.pk)}


class NotNow(Problem):
    """The run is in a state in which this cannot be done; the message says in which."""

    status = 409

    def __init__(self, run: HealingRun, detail: str) -> None:
        super().__init__(detail)
        self.run = run

    def members(self) -> dict[str, Any]:
        return {"run": str(self.run.pk), "state": self.run.state}
