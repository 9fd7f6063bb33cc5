"""Silences and routes, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Field, Schema

from alerting.choices import Origin, Severity
from resilience_site.core.pagination import PageQuery

_MATCHERS = (
    'An object such as {"service": "planner"}, or a list of {"label", "op", "value"} with op one '
    "of = != =~ !~, or of texts such as severity=~page|ticket; all of them must hold"
)


class MatcherOut(Schema):
    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class SilenceQuery(PageQuery):
    state: Literal["", "active", "pending", "over"] = ""


class SilenceIn(Schema):
    """A silence; it needs an end, at most 30 days from now."""

    matchers: Any = Field(None, description=_MATCHERS)
    ends_in: Any = Field(None, description="Seconds from its beginning on")
    ends_at: Any = Field(None, description="In place of ends_in")
    starts_at: Any = Field(None, description="Now, where it is not given")
    reason: Any = ""


class SilenceOut(Schema):
    """`held` counts the alerts that it has held so far."""

    id: UUID
    state: Literal["active", "pending", "over"]
    matchers: list[MatcherOut]
    starts_at: datetime
    ends_at: datetime
    reason: str
    actor: str
    created_at: datetime
    ended_by: str
    held: int
    last_held_at: datetime | None


class HitOut(Schema):
    id: UUID
    rule: str
    severity: Severity
    service: str
    summary: str


class RuleHitsOut(Schema):
    rule: str
    alerts: int


class PreviewOut(Schema):
    """What a silence of these matchers would hit: of the `open` alerts, and of those that began to
    fire within the last 7 days. `alerts` lists the first 20 of the open ones."""

    now: int
    open: int
    week: int
    by_rule: list[RuleHitsOut]
    cut: bool = Field(description="More alerts fired in the week than are looked at")
    alerts: list[HitOut]


class RouteIn(Schema):
    """A route; what is not given is as by default."""

    name: Any = None
    position: Any = Field(None, description="1 to 9999; routes are tried from the lowest on")
    matchers: Any = Field(None, description=_MATCHERS)
    group_by: Any = Field(
        None,
        description=(
            'Names of labels; ["..."] tells each alert by itself, ["incident", "severity"] all '
            "alerts of an incident that are as urgent together, and those of none by their service"
        ),
    )
    group_wait_seconds: Any = None
    group_interval_seconds: Any = None
    repeat_interval_seconds: Any = None
    goes_on: Any = Field(None, description="Whether later routes are tried as well")
    channels: Any = Field(None, description="Names of channels")
    every_channel: Any = Field(None, description="Tell every channel that is enabled")
    enabled: Any = None


class RouteOut(Schema):
    name: str
    position: int
    matchers: list[MatcherOut]
    group_by: list[str]
    group_wait_seconds: int
    group_interval_seconds: int
    repeat_interval_seconds: int
    goes_on: bool
    channels: list[str]
    every_channel: bool
    enabled: bool
    origin: Origin
    version: int
    tells_nobody: bool = Field(
        description="It has no channel that is enabled: its pages go by any other channel that "
        "works, and nobody hears of the rest"
    )


class TrialIn(Schema):
    labels: dict[str, str] = Field(description="Such as alertname, severity, service")


class WayOut(Schema):
    route: str
    channels: list[str]
    group_labels: dict[str, str]
    group_wait_seconds: float
    stand_in: str | None = Field(
        description="The channel that takes a page, where no route of it has one that is enabled"
    )


class HeldOut(Schema):
    kind: str
    id: str
    text: str


class TrialOut(Schema):
    """The routes that an alert of these labels would take now, and why nobody would be told."""

    routes: list[WayOut]
    suppressed_by: list[HeldOut]


class InhibitionOut(Schema):
    name: str
    source: list[MatcherOut]
    target: list[MatcherOut]
    equal: list[str]
    holds_after_seconds: int
    enabled: bool
    origin: Origin
    version: int


class InhibitionIn(Schema):
    """While an alert matches `source`, those that match `target` are not told, where the labels in
    `equal` have the same values."""

    source: Any = Field(None, description=_MATCHERS)
    target: Any = Field(None, description=_MATCHERS)
    equal: Any = Field(None, description="Names of labels; none: whatever labels they have")
    holds_after_seconds: Any = Field(
        None,
        description=(
            "How long those that fire when the source ends stay held, if somebody was told of the "
            "source; 0 to 86400"
        ),
    )
    enabled: Any = None


class InhibitionNewIn(InhibitionIn):
    name: Any = None
