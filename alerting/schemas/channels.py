"""What the paths of channels and deliveries take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from ninja import Field, Schema

from alerting.choices import AttemptOutcome, ChannelKind, DeliveryState, Purpose
from alerting.services.channel_fields import MOST_NAME
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery

_VERIFY = (
    "Whether the receiver is asked before it is saved, and what it refuses for good is not saved. "
    "By default by what tells nobody: the login of a mail server, an empty message to Slack, none "
    "to a Teams workflow, the end of what never began to PagerDuty; true: where there is no such "
    "way, or it says nothing, by a test; false: nothing is tried"
)


_FALLBACK: Final = "Name or id of the channel that takes its place"
_MOST_REASON: Final = 300


class ChannelIn(Body):
    """A channel. `target` holds the options of its kind: a webhook needs `url`, e-mail `to`, Slack
    and Teams `url`, PagerDuty `routing_key`, Apprise `url`."""

    kind: Annotated[Any, Like(ChannelKind, needed=True)] = None
    name: Annotated[Any, Like(str, needed=True, min_length=1, max_length=MOST_NAME)] = None
    target: Annotated[Any, Like(dict[str, Any], needed=True)] = None
    send_resolved: Annotated[Any, Like(bool)] = Field(
        True, description="Whether the end of alerts is told, too"
    )
    enabled: Annotated[Any, Like(bool)] = True
    fallback: Annotated[Any, Like(str | None)] = Field(None, description=_FALLBACK)
    verify: Annotated[Any, Like(bool | None)] = Field(None, description=_VERIFY)


class ChannelChange(Body):
    """The fields to change; what is not sent stays, as do secrets that come as `***`."""

    kind: Annotated[Any, Like(ChannelKind)] = Field(None, description="Never changes")
    name: Annotated[Any, Like(str, min_length=1, max_length=MOST_NAME)] = None
    target: Annotated[Any, Like(dict[str, Any])] = Field(None, description="Options of the kind")
    send_resolved: Annotated[Any, Like(bool)] = None
    enabled: Annotated[Any, Like(bool)] = None
    fallback: Annotated[Any, Like(str | None)] = Field(None, description=_FALLBACK)
    verify: Annotated[Any, Like(bool | None)] = Field(None, description=_VERIFY)


class PauseIn(Body):
    reason: Annotated[Any, Like(str, max_length=_MOST_REASON)] = ""


class ChannelOut(Schema):
    """`target` is without secrets; `state` is on, off, paused, or failing."""

    id: UUID
    kind: ChannelKind
    name: str
    target: dict[str, Any]
    state: str
    send_resolved: bool
    enabled: bool
    fallback: str | None
    failures: int
    failing_since: datetime | None
    paused_at: datetime | None
    paused_why: str
    created_at: datetime
    changed_at: datetime
    changed_by: str
    version: int
    only_channel_of: list[str] = Field(description="Routes that tell nobody without it")
    warning: str = Field(description="What that means, while it is switched off")


class ChannelGoneOut(Schema):
    """The routes that tell nobody, now that a channel is deleted, and what that means."""

    only_channel_of: list[str]
    warning: str


class ChannelSavedOut(ChannelOut):
    proven: bool | None = Field(
        None,
        description="Whether its receiver took its secrets; false: that could not be found out; "
        "null: it was not tried",
    )
    proof: str = Field("", description="The same in words, empty where it was not tried")


class ChannelMadeOut(ChannelSavedOut):
    secret: str | None = Field(
        None, description="A secret that the site has made; it is shown this once"
    )


class DeliveryQuery(PageQuery):
    """Filters of deliveries; `open` are those that wait or are being sent."""

    channel: str = Field("", description="Name or id of a channel")
    state: DeliveryState | Literal["", "open"] = ""
    purpose: Purpose | Literal[""] = ""


class DeliveryOut(Schema):
    """`id` is what the receiver knows it by (`webhook-id`, the Message-ID of a mail)."""

    id: UUID
    channel_id: UUID | None
    channel: str
    purpose: Purpose
    title: str
    state: DeliveryState
    attempts: int
    next_at: datetime | None = Field(description="Of the next attempt, null once it has ended")
    created_at: datetime
    ended_at: datetime | None
    last_error: str
    fallback_of: UUID | None


class AttemptOut(Schema):
    """One attempt; `request` and `answer` are without secrets and up to a bound."""

    n: int
    at: datetime
    milliseconds: int
    outcome: AttemptOutcome
    status: int | None
    request: dict[str, Any]
    answer: str
    error: str


class DeliveryDetailOut(DeliveryOut):
    message: dict[str, Any]
    tries: list[AttemptOut]
