"""What runs have taught of each workflow, as rows of the screens."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from healing.domain.learning import Suggestion, Tries
from healing.selectors.learning import (
    LEARNED_FROM,
    Success,
    Times,
    success_list,
    success_total,
    suggestions,
    times_by_workflow,
)
from resilience_site.core.formatting import duration, percent, window

WINDOW: Final = window(LEARNED_FROM.total_seconds())
# Fewer runs are no share.
LEAST: Final = 3


@dataclass(frozen=True)
class Learned:
    """What the runs of one workflow came to. `rate` and `bound` are texts with their basis."""

    workflow: str
    tries: Tries
    failed_again: int
    kinds: list[Success]
    times: Times | None
    suggestion: Suggestion | None

    @property
    def rate(self) -> str:
        """The share that healed; n/a of too few."""
        return share(self.tries)

    @property
    def basis(self) -> str:
        return f"{self.tries.healed}/{self.tries.runs}"

    @property
    def bound(self) -> str:
        """What the share is at least, by Wilson's interval."""
        return f"{self.tries.lower * 100:.0f} %" if self.tries.runs else "n/a"

    @property
    def duration(self) -> str:
        """How long runs took, p50 and p95."""
        if self.times is None:
            return "n/a"
        return f"{duration(self.times.duration_p50)} / {duration(self.times.duration_p95)}"

    @property
    def recovery(self) -> str:
        """From the failure to the verified heal, p50 and p95."""
        if self.times is None or self.times.recovery_p50 is None:
            return "n/a"
        return f"{duration(self.times.recovery_p50)} / {duration(self.times.recovery_p95 or 0)}"


def share(tries: Tries) -> str:
    return percent(tries.healed, tries.runs) if tries.runs >= LEAST else "n/a"


def learned_list(now: datetime, workflow: str = "") -> list[Learned]:
    """Every workflow that had runs, by name, or one of them; four queries."""
    found: dict[str, list[Success]] = defaultdict(list)
    for each in success_list(now=now, workflow=workflow):
        found[each.workflow].append(each)
    times, wanted = times_by_workflow(now=now), suggestions(now=now)
    return [
        Learned(
            workflow=name,
            tries=success_total(kinds),
            failed_again=sum(each.failed_again for each in kinds),
            kinds=kinds,
            times=times.get(name),
            suggestion=wanted.get(name),
        )
        for name, kinds in sorted(found.items())
    ]
