"""What the paths of incidents take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Schema

from alerting.choices import AlertState, EntryKind, IncidentState, Severity
from alerting.selectors.told import Told
from alerting.services.incident_acts import MOST_NAME, MOST_TEXT
from health.services.incidents import IMPACTS, MAX_SERVICES, MAX_TEXT, MAX_TITLE
from resilience_site.core.bodies import Body, Like, one_of
from resilience_site.core.pagination import RangeQuery


class IncidentQuery(RangeQuery):
    """Filters of the incidents; `active` are those that are open or acknowledged."""

    state: Literal["", "active", "open", "acknowledged", "resolved"] = ""
    severity: Severity | Literal[""] = ""
    service: str = ""
    q: str = ""


class EvidenceOut(Schema):
    kind: str
    text: str
    link: str


class CauseOut(Schema):
    """The probable cause; `confidence` lies in 0..1. Empty texts where nothing is known; `missing`
    says what could not be asked."""

    text: str = ""
    service: str = ""
    confidence: float | None = None
    evidence: list[EvidenceOut] = []
    missing: list[str] = []


class IncidentAlertOut(Schema):
    id: UUID
    rule: str
    severity: Severity
    state: AlertState
    labels: dict[str, Any]
    service: str
    summary: str
    started_at: datetime
    ended_at: datetime | None
    incident_id: UUID
    suppressed_by: list[dict[str, Any]]
    told: Told
    why_not_told: str = Field(
        description="Why nobody is told, or has it yet, or why one has not taken what another has"
    )


class EntryOut(Schema):
    """One line of the timeline; `link` is a path of this site, `actor` who did it, or the channel
    that was told first. What says the same in a moment, or tells one message to many, is one line."""

    at: datetime
    kind: EntryKind
    text: str
    link: str
    actor: str


class IncidentOut(Schema):
    id: UUID
    title: str
    state: IncidentState
    severity: Severity
    started_at: datetime
    ended_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    assigned_to: str
    resolved_by: str = Field(description="Empty where it ended with the last of its alerts")
    culprit: str
    services: list[str]
    cause: CauseOut
    impact: dict[str, Any] = Field(
        description="As of `impact`, `words` with the window and the whole of each figure; empty "
        "before it was looked for"
    )
    alert_count: int
    firing_count: int
    public_incident_id: UUID | None
    version: int
    url: str


class IncidentDetailOut(IncidentOut):
    """`alerts` has the first 200, `timeline` the newest 1,000, the oldest first."""

    alerts: list[IncidentAlertOut]
    timeline: list[EntryOut]


class MarkdownOut(Schema):
    summary: str
    post_mortem: str


class NoteIn(Body):
    note: Annotated[Any, Like(str | None, max_length=MOST_TEXT)] = Field(
        "", description="What is to stand in the timeline"
    )


class AssignIn(Body):
    to: Annotated[Any, Like(str | None, max_length=MOST_NAME)] = Field(
        description="A name; an empty one takes it from whoever has it"
    )
    note: Annotated[Any, Like(str | None, max_length=MOST_TEXT)] = ""


class PublishIn(Body):
    """What the public is told; what is not said is made from the incident."""

    title: Annotated[Any, Like(str | None, min_length=1, max_length=MAX_TITLE)] = None
    text: Annotated[Any, Like(str | None, min_length=1, max_length=MAX_TEXT)] = None
    impact: Annotated[Any, Like(one_of(IMPACTS) | None)] = None
    services: Annotated[Any, Like(list[str] | None, max_length=MAX_SERVICES)] = Field(
        None, description="Names of the catalogue"
    )
    follow: bool = Field(True, description="Whether the end of the incident is told, too")
