"""Silences and routes, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Schema

from alerting.choices import Origin, Severity
from alerting.domain.matchers import MOST_MATCHERS
from alerting.services.inhibitions import MOST_AFTER, MOST_EQUAL
from alerting.services.routes import (
    LAST_POSITION,
    LONGEST_INTERVAL,
    LONGEST_REPEAT,
    LONGEST_WAIT,
    MOST_GROUP_BY,
)
from alerting.services.silences import LONGEST, MOST_REASON, SHORTEST
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery

_MATCHERS = (
    'An object such as {"service": "planner"}, or a list of {"label", "op", "value"} with op one '
    "of = != =~ !~, or of texts such as severity=~page|ticket; all of them must hold"
)


class MatcherOut(Schema):
    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


class MatcherIn(Schema):
    """A matcher of its own; Alertmanager's `name`, `isEqual` and `isRegex` in place of `label` and
    `op` do as well."""

    label: str = ""
    op: Literal["=", "!=", "=~", "!~"] = "="
    value: str | float
    name: str = ""
    isEqual: bool = True  # noqa: N815
    isRegex: bool = False  # noqa: N815


_MatcherList = Annotated[list[MatcherIn | str], Field(max_length=MOST_MATCHERS)]
_Matchers = dict[str, str | float] | _MatcherList | str


class SilenceQuery(PageQuery):
    state: Literal["", "active", "pending", "over"] = ""


class _SilenceIn(Body):
    matchers: Annotated[Any, Like(_Matchers, needed=True)] = Field(None, description=_MATCHERS)
    ends_in: Annotated[
        Any, Like(float | None, ge=SHORTEST.total_seconds(), le=LONGEST.total_seconds())
    ] = Field(None, description="Seconds from its beginning on")
    ends_at: Annotated[Any, Like(datetime | None)] = Field(None, description="In place of ends_in")
    starts_at: Annotated[Any, Like(datetime | None)] = Field(
        None, description="Now, where it is not given"
    )


class SilenceIn(_SilenceIn):
    """A silence; it needs an end, `ends_in` or `ends_at`, at most 30 days from now."""

    reason: Annotated[Any, Like(str, needed=True, min_length=1, max_length=MOST_REASON)] = ""


class SilencePreviewIn(_SilenceIn):
    """The matchers of a silence; whatever else a silence has may stand beside them."""

    reason: Annotated[Any, Like(str, max_length=MOST_REASON)] = ""


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


class RouteIn(Body):
    """The fields of a route that are to change; `name` never does."""

    name: Annotated[Any, Like(str | None)] = None
    position: Annotated[Any, Like(int | None, ge=1, le=LAST_POSITION + 1)] = Field(
        None, description="Routes are tried from the lowest on; only the last one has the highest"
    )
    matchers: Annotated[Any, Like(_Matchers | None)] = Field(None, description=_MATCHERS)
    group_by: Annotated[Any, Like(list[str] | None, max_length=MOST_GROUP_BY)] = Field(
        None,
        description=(
            'Names of labels; ["..."] tells each alert by itself, ["incident", "severity"] all '
            "alerts of an incident that are as urgent together, and those of none by their service"
        ),
    )
    group_wait_seconds: Annotated[Any, Like(int | None, ge=0, le=LONGEST_WAIT)] = None
    group_interval_seconds: Annotated[Any, Like(int | None, ge=10, le=LONGEST_INTERVAL)] = None
    repeat_interval_seconds: Annotated[Any, Like(int | None, ge=60, le=LONGEST_REPEAT)] = None
    goes_on: Annotated[Any, Like(bool | None)] = Field(
        None, description="Whether later routes are tried as well"
    )
    channels: Annotated[Any, Like(list[str] | None)] = Field(
        None, description="Names or ids of channels"
    )
    every_channel: Annotated[Any, Like(bool | None)] = Field(
        None, description="Tell every channel that is enabled"
    )
    enabled: Annotated[Any, Like(bool | None)] = None


class RouteNewIn(RouteIn):
    """A route; what is not given is as by default."""

    name: Annotated[Any, Like(str, needed=True, min_length=1, max_length=100)] = None


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


class InhibitionIn(Body):
    """While an alert matches `source`, those that match `target` are not told, where the labels in
    `equal` have the same values."""

    source: Annotated[Any, Like(_Matchers)] = Field(None, description=_MATCHERS)
    target: Annotated[Any, Like(_Matchers)] = Field(None, description=_MATCHERS)
    equal: Annotated[Any, Like(list[str], max_length=MOST_EQUAL)] = Field(
        None, description="Names of labels; none: whatever labels they have"
    )
    holds_after_seconds: Annotated[Any, Like(int, ge=0, le=MOST_AFTER)] = Field(
        None,
        description=(
            "How long those that fire when the source ends stay held, if somebody was told of the "
            "source"
        ),
    )
    enabled: Annotated[Any, Like(bool)] = None


class InhibitionNewIn(InhibitionIn):
    name: Annotated[Any, Like(str, needed=True, min_length=1, max_length=100)] = None
    source: Annotated[Any, Like(_Matchers, needed=True)] = Field(None, description=_MATCHERS)
    target: Annotated[Any, Like(_Matchers, needed=True)] = Field(None, description=_MATCHERS)
