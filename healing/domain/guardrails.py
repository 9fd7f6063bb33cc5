"""Guardrails: judged in order, the first refusal counts.

kill switch → maintenance → mode → one open run a target → cooldown → budget a target → runs at once
→ blast radius → failures in a row → error budget → culprit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ORDER: Final = (
    "kill_switch",
    "maintenance",
    "mode",
    "target_lock",
    "cooldown",
    "target_budget",
    "concurrency",
    "blast_radius",
    "failed_runs",
    "error_budget",
    "culprit",
)


@dataclass(frozen=True)
class Verdict:
    """What one guardrail said, with the figures it said it by. `ruling` is a `Ruling`."""

    name: str
    ruling: str
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def form(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "name": self.name,
            "ruling": self.ruling,
            "reason": self.reason,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True)
class Judgement:
    """All verdicts up to the first refusal. `mode` is how far the run may go (a `Mode`): the
    workflow's, capped by variables and by what guardrails say."""

    verdicts: tuple[Verdict, ...]
    mode: str

    @property
    def refusal(self) -> Verdict | None:
        return next((each for each in self.verdicts if each.ruling == "refuse"), None)
