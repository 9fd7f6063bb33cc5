"""What the paths of alerts give, and how lists of them are narrowed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Field, Schema

from alerting.choices import AlertSource, AlertState, DeliveryState, Severity
from alerting.selectors.told import Told
from resilience_site.core.pagination import RangeQuery


class AlertQuery(RangeQuery):
    """Filters of the alerts; `open` are those that are pending or firing. `since` and `until` ask
    for what was there at some moment between them."""

    state: Literal["", "open", "pending", "firing", "resolved"] = ""
    service: str = ""
    severity: Severity | Literal[""] = ""
    rule: str = Field("", description="The name of a rule, the label alertname")
    q: str = Field("", description="A part of the rule, the summary or the service")
    suppressed: bool | None = Field(None, description="Whether nobody is told of it")
    incident: UUID | None = None


class AlertOut(Schema):
    """`told` is told (a message of it arrived), waits (it is on its way), soon (it is made once its
    group is due), held, pending or nobody; `why_not_told` says why nobody is. `suppressed_by` says
    the same by parts: each a `kind` (silence, inhibition, maintenance), an `id` and a `text`."""

    id: UUID
    rule: str
    severity: Severity
    state: AlertState
    labels: dict[str, Any]
    service: str
    source: AlertSource
    summary: str
    started_at: datetime = Field(description="When the condition began to hold")
    fired_at: datetime | None = Field(description="When it had held for as long as its rule asks")
    ended_at: datetime | None
    incident_id: UUID | None
    suppressed_by: list[dict[str, Any]]
    told: Told
    why_not_told: str = Field(
        description="Why nobody is told, or has it yet, or why one has not taken what another has"
    )
    fingerprint: str
    url: str


class BecameOut(Schema):
    """What became of a message to a channel; `stood_in` is the channel that it went by instead."""

    delivery: UUID
    state: Literal["delivered", "waits", "failed"]
    delivered_at: datetime | None
    error: str
    stood_in: str | None


class ToldOut(BecameOut):
    """What became of the message that the alert fires, made `at`, and of that of its end."""

    channel: str
    at: datetime
    over: BecameOut | None


class AlertGroupOut(Schema):
    """A group that the alert is told with; `due_at` is null while nothing goes on in it."""

    route: str
    labels: dict[str, Any]
    due_at: datetime | None
    last_flush_at: datetime | None
    told: list[ToldOut] = Field(description="The channels that were to hear of this alert")


class AlertDeliveryOut(Schema):
    id: UUID
    channel: str
    state: DeliveryState
    created_at: datetime
    ended_at: datetime | None


class AlertDetailOut(AlertOut):
    """`deliveries` are those of its groups since it fired, the newest 20."""

    details: str
    runbook_url: str
    facts: dict[str, Any]
    groups: list[AlertGroupOut]
    deliveries: list[AlertDeliveryOut]
