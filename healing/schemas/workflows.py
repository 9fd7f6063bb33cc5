"""Workflows, targets and guards, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from healing.choices import Mode, Origin, TargetKind, TriggerKind
from resilience_site.core.pagination import PageQuery


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


class WorkflowIn(Schema):
    """The whole workflow, as YAML in `text` or as JSON in `definition`."""

    text: Any = None
    definition: Any = None
    reason: Any = ""


class TextIn(Schema):
    text: Any = ""


class CheckedOut(Schema):
    """A text without faults; one with them is 422, each with its line."""

    definition: dict[str, Any]


class ModeIn(Schema):
    mode: Any = None
    reason: Any = ""


class EnabledIn(Schema):
    enabled: Any = None
    reason: Any = ""


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


class TargetIn(Schema):
    """`ways`: name → {"action": NAME, "with": {parameters}}."""

    ways: Any = None
    group: Any = ""


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


class SwitchIn(Schema):
    stopped: Any = None
    reason: Any = ""
    group: Any = ""
    expires_in: Any = Field(None, description="Seconds after which a stop ends by itself")


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
