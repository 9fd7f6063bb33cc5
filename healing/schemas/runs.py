"""Runs, opportunities and guardrails, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Schema

from breakers.services.requests import MAX_TEXT
from healing.choices import (
    Mode,
    OpportunityState,
    Ruling,
    RunState,
    StepState,
    TargetKind,
    TriggerKind,
)
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery, RangeQuery

_TARGET = (
    "What the workflow acts on, by its kind of target: the name of a service, a breaker as "
    "`service/name`, or the id of an error pattern"
)


class VerdictOut(Schema):
    """What a guardrail said; the list ends with the first refusal."""

    name: str
    ruling: Ruling
    reason: str
    facts: dict[str, Any]


class StepVerifiedOut(Schema):
    """How a step is verified by itself: what by, in words, and how that stands. `well` is null while
    it has not come true and there is time left, and in a dry run."""

    words: str
    well: bool | None = None
    text: str = ""
    passes: int = 0
    since: datetime | None = None
    until: datetime | None = None


class StepOut(Schema):
    """A step. `output` is at most 64 KiB; in a dry run it says the exact effect. `verification` is
    null for a step that is not verified by itself, or not yet."""

    n: int
    name: str
    action: str
    resolved: str
    parameters: dict[str, Any]
    state: StepState
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    output: str
    error: str
    verification: StepVerifiedOut | None
    undo_state: StepState | Literal[""]
    undo_output: str


class RunOut(Schema):
    """A run. `outcome` is one sentence on how it ended, `evidence` what shows it."""

    id: UUID
    workflow: str
    version: int
    target: str
    target_kind: TargetKind
    service: str
    mode: Mode
    state: RunState
    trigger: dict[str, Any]
    dry_run: bool
    reason: str
    requested_by: str
    steps: list[StepOut]
    guardrails: list[VerdictOut]
    refused_by: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    deadline: datetime
    approve_until: datetime | None
    approved_by: str
    approved_at: datetime | None
    passes: int
    passes_needed: int
    outcome: str
    evidence: dict[str, Any]
    failed_again_at: datetime | None


class RunQuery(RangeQuery):
    """`state` may also be `open`: not over yet. `refused`: only those a guardrail refused."""

    state: RunState | Literal["", "open"] = ""
    workflow: str = ""
    service: str = ""
    target: str = ""
    trigger: TriggerKind | Literal[""] = ""
    dry_run: bool | None = None
    refused: bool | None = None


class RunIn(Body):
    """A run by hand. `mode` may only be more careful than the workflow's."""

    workflow: Annotated[Any, Like(str, needed=True, min_length=1)] = Field(
        None, description="Its name"
    )
    target: Annotated[Any, Like(str, needed=True, min_length=1)] = Field(None, description=_TARGET)
    mode: Annotated[Any, Like(Mode | None)] = None
    dry_run: Annotated[Any, Like(bool)] = Field(False, description="Tell the effect of each step")
    reason: Annotated[Any, Like(str, needed=True, min_length=1, max_length=MAX_TEXT)] = ""


class WordIn(Body):
    """Why, for the audit trail; some acts need no reason."""

    reason: Annotated[Any, Like(str | None, max_length=MAX_TEXT)] = ""


class WhyIn(Body):
    """Why, for the audit trail."""

    reason: Annotated[Any, Like(str, needed=True, min_length=1, max_length=MAX_TEXT)] = ""


class VerifiedOut(Schema):
    """Whether what a run was for is well now, and what shows it."""

    verified: bool
    evidence: dict[str, Any]
    run: RunOut


class OpportunityOut(Schema):
    """Something that a workflow could heal. `refused_by` names the guardrail that holds it back."""

    id: UUID
    workflow: str
    target: str
    target_kind: TargetKind
    service: str
    mode: Mode
    state: OpportunityState
    trigger: dict[str, Any]
    first_seen: datetime
    last_seen: datetime
    count: int
    guardrails: list[VerdictOut]
    refused_by: str
    ended_at: datetime | None
    run_id: UUID | None


class OpportunityQuery(PageQuery):
    state: OpportunityState | Literal[""] = OpportunityState.OPEN
    service: str = ""
    workflow: str = ""
    type: str = Field("", description="A type of errors; those that answer to its patterns")
