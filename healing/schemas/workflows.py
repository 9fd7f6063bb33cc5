"""Workflows, targets and guards, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema

from breakers.services.requests import LONGEST_SECONDS, MAX_TEXT
from healing.choices import Mode, Origin, TargetKind, TriggerKind
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery

_Reason = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class WorkflowOut(Schema):
    """`capped_at` is how far it goes where a variable of the site holds it back, with `capped_by`
    the reason; `suggestion` another mode that its runs suggest."""

    id: UUID
    name: str
    title: str
    description: str
    mode: Mode
    mode_changed_at: datetime
    mode_changed_by: str
    mode_reason: str
    capped_at: Mode
    capped_by: str
    enabled: bool
    priority: int
    target: TargetKind
    strategy: str
    triggers: list[TriggerKind]
    actions: list[str]
    origin: Origin
    version: int
    changed_at: datetime
    changed_by: str


class VersionOut(Schema):
    number: int
    at: datetime
    by: str


class WorkflowDetailOut(WorkflowOut):
    definition: dict[str, Any]
    text: str
    versions: list[VersionOut]


class WorkflowQuery(PageQuery):
    """`service` and `type`: those that would answer to errors of that type in that service."""

    service: str = ""
    type: str = ""


class WorkflowIn(Body):
    """The whole workflow, as YAML in `text` or as JSON in `definition`."""

    text: Annotated[Any, Like(str | None)] = Field(None, description="Needed without `definition`")
    definition: Annotated[Any, Like(dict[str, Any] | None)] = Field(
        None, description="As workflows are answered"
    )
    reason: Annotated[Any, Like(str, max_length=MAX_TEXT)] = ""


class TextIn(Body):
    text: Annotated[Any, Like(str, needed=True)] = Field("", description="A workflow as YAML")


class CheckedOut(Schema):
    """A text without faults; one with them is 422, each with its line."""

    definition: dict[str, Any]


class ModeIn(Body):
    mode: Annotated[Any, Like(Mode, needed=True)] = None
    reason: Annotated[Any, Like(_Reason, needed=True)] = ""


class EnabledIn(Body):
    enabled: Annotated[Any, Like(bool, needed=True)] = None
    reason: Annotated[Any, Like(_Reason, needed=True)] = ""


class ActionOut(Schema):
    """An action that a step or a way can name, with its parameters and their types."""

    name: str
    label: str
    description: str
    parameters: dict[str, str]
    required: list[str]
    secrets: list[str]
    safe_to_leave: bool
    undoes_itself: bool
    repeatable: bool
    variable: str


class TargetOut(Schema):
    """How a service is reached; secrets are masked."""

    service: str
    group: str
    ways: dict[str, Any]
    managed_by: str
    version: int
    changed_at: datetime
    changed_by: str


class WayIn(Schema):
    """An action with its parameters; `GET healing/actions` lists both."""

    action: str
    with_: dict[str, Any] | None = Field(None, alias="with")
    safe_to_leave: bool = Field(False, description="Nothing has to be undone")


class TargetIn(Body):
    """How a service is reached; secrets that come masked stay as they are."""

    ways: Annotated[Any, Like(dict[str, WayIn] | None)] = Field(
        None, description="By the names that workflows call them"
    )
    group: Annotated[Any, Like(str | None, max_length=100)] = Field(
        "", description="Services that are healed together, and stopped by one switch"
    )


class SwitchOut(Schema):
    """The kill switch of a group, or (empty) of all healing."""

    group: str
    stopped: bool
    stopped_by_site: bool
    reason: str
    actor: str
    changed_at: datetime | None
    expires_at: datetime | None
    version: int


class SwitchIn(Body):
    stopped: Annotated[Any, Like(bool, needed=True)] = None
    reason: Annotated[Any, Like(_Reason, needed=True)] = ""
    group: Annotated[Any, Like(str | None)] = Field("", description="Empty for all healing")
    expires_in: Annotated[Any, Like(float | None, ge=1, le=LONGEST_SECONDS)] = Field(
        None, description="Seconds after which a stop ends by itself"
    )


class QuarantineOut(Schema):
    """A target that used up its budget of runs."""

    id: UUID
    target: str
    target_kind: TargetKind
    service: str
    reason: str
    since: datetime
    ended_at: datetime | None
    ended_by: str
    ended_reason: str


class QuarantineQuery(PageQuery):
    ended: bool | None = False


class SuccessOut(Schema):
    """How often a workflow healed one kind of target after one kind of trigger, in 90 days.

    `lower` is the bound that the share has at least (Wilson, 95 %)."""

    workflow: str
    target_kind: TargetKind
    trigger_kind: TriggerKind
    runs: int
    healed: int
    failed_again: int
    rate: float | None
    lower: float


class TimesOut(Schema):
    """In seconds: how long runs took, and from the failure to a heal that was verified."""

    workflow: str
    runs: int
    duration_p50: float
    duration_p95: float
    recovery_p50: float | None
    recovery_p95: float | None


class SuggestionOut(Schema):
    workflow: str
    from_mode: Mode
    to_mode: Mode
    at: datetime
    why: str


class LearnedOut(Schema):
    items: list[SuccessOut]
    times: list[TimesOut]
    suggestions: list[SuggestionOut]
