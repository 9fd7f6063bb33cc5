"""What healing is asked for and what it answers: actions, workflows, opportunities, results."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from breakers.runtime.error_events import ErrorPattern, Source

VERIFICATION_TIMEOUT = 300.0  # seconds
Outcome = Literal[
    "succeeded", "failed", "rolled_back", "escalated", "cancelled", "waiting", "refused"
]


@dataclass(frozen=True, slots=True)
class HealingAction:
    """One action with its parameters; `id` names this execution of it, or a run of the site."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class HealingOpportunity:
    """What could heal an error pattern; `found` is false where there is nothing.

    `actions` are registered here. `workflows` are the site's, and `opportunities` what it waits
    with now; they are empty where the site was not asked or did not answer, which `why` tells.
    """

    pattern: ErrorPattern
    actions: tuple[str, ...]
    workflows: tuple[str, ...] = ()
    opportunities: tuple[str, ...] = ()
    source: Source = "local"
    why: str = ""

    @property
    def found(self) -> bool:
        return bool(self.actions or self.workflows)


@dataclass(frozen=True, slots=True)
class HealingWorkflow:
    """Actions in the order in which they run; `timeout` in seconds bounds each of them.

    Without actions it is a workflow of the site, run on `target` (default: this service); then
    `timeout` is how long its end is waited for, `reason` stands in its record, `mode` may make it
    more careful than it is there, and a `dry_run` only says what it would do.
    """

    name: str
    actions: Sequence[HealingAction] = ()
    timeout: float = VERIFICATION_TIMEOUT
    target: str = ""
    reason: str = ""
    mode: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class HealingResult:
    """How a workflow ended; `failed` names the action that did not work, `error` says why.

    `output` is what the last action that ran returned. Of a workflow of the site, `run_id` names
    the run; `waiting` is one that was not over in time, or waits for a person; `refused` one that a
    guardrail did not let begin.
    """

    workflow: str
    outcome: Outcome
    done: tuple[str, ...]
    failed: str = ""
    error: str = ""
    elapsed: float = 0.0
    output: Any = None
    run_id: str = ""
    source: Source = "local"


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """Whether an action was undone, and if not, why."""

    action_id: str
    rolled_back: bool
    reason: str = ""
