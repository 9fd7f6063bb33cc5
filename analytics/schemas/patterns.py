"""What the API takes and gives of patterns."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema
from pydantic import AliasChoices, ConfigDict

from analytics.choices import MergeOrigin, PatternState
from analytics.selectors.patterns import NEWEST_FIRST, ORDERS
from resilience_site.core.pagination import RangeQuery


class PatternQuery(RangeQuery):
    """Filters of the patterns list."""

    service: str = ""
    type: str = ""
    state: PatternState | None = None
    q: str = Field("", max_length=500, description="Words of the type or template")
    sort: str = Field(
        NEWEST_FIRST, description=f"{', '.join(ORDERS)}; with a minus sign in front, downwards"
    )


class TrendOut(Schema):
    """Errors in equal parts of the last 24 hours, oldest first."""

    window_seconds: float
    counts: list[int]


class PatternOut(Schema):
    """A pattern; its figures include those of the patterns that were put into it."""

    id: UUID
    service: str
    type: str
    template: str
    rule: str
    version: int = Field(description="Version of the grouping that made it")
    state: PatternState
    state_changed_at: datetime | None = Field(description="null while it is as it was first seen")
    state_reason: str
    resolved_in_version: str
    ignored_until: datetime | None
    ignored_until_count: int | None = Field(description="Of `count`")
    ignored_until_escalating: bool
    escalates_above: float | None = Field(
        description="Errors an hour; null while there is no reason or too little history for a limit"
    )
    count: int
    first_seen: datetime
    last_seen: datetime
    last_error_id: UUID
    first_version: str | None = Field(description="The `service.version` it was first seen in")
    last_version: str | None
    merged_into: UUID | None = Field(description="The pattern that it is shown as part of")
    trend: TrendOut


class CountedOut(Schema):
    type: str
    note: str = Field(description="How it led to the one above it")
    frames: list[str]


class VariableOut(Schema):
    what: str
    values: int
    examples: list[str]


class MemberOut(Schema):
    id: UUID
    type: str
    template: str
    count: int
    origin: MergeOrigin | None
    actor: str | None
    reason: str | None
    made_at: datetime | None


class WhyOut(Schema):
    """Why the errors of a pattern are together."""

    rule: str
    version: int
    sentences: list[str]
    exceptions: list[CountedOut] = Field(description="What counted of the newest error's stack")
    variables: list[VariableOut] = Field(description="What stands at each `<…>` of the template")
    members: list[MemberOut] = Field(description="At most 50, those with most errors first")


class LimitOut(Schema):
    """The most errors an hour that the pattern's own history explains."""

    value: float | None
    in_hour: int = Field(description="Errors of the last 60 minutes")
    words: str


class VersionOut(Schema):
    version: str
    count: int
    first_seen: datetime
    last_seen: datetime


class PatternDetailOut(PatternOut):
    why: WhyOut
    limit: LimitOut
    versions: list[VersionOut] = Field(
        description="At most 50 that it was seen in, first one first"
    )


class DecisionIn(Schema):
    reason: str = Field("", max_length=1000)


class ResolveIn(DecisionIn):
    in_version: str = Field(
        "",
        max_length=200,
        description="The version that has the mend, or `now` for the newest one known. Only errors "
        "of that and of later versions make it regressed then; by default any later error does.",
    )


def _for_by_both_names(form: dict[str, Any]) -> None:
    form["properties"]["expires_in"] = form["properties"]["for"]


class IgnoreIn(DecisionIn):
    """It is ignored until the first of these comes true, or it is reopened."""

    # A misspelt end would be no end at all.
    model_config = ConfigDict(extra="forbid", json_schema_extra=_for_by_both_names)

    for_: int | None = Field(
        None,
        validation_alias=AliasChoices("for", "expires_in"),
        ge=1,
        le=366 * 86_400,
        description="Seconds; `expires_in` says the same",
    )
    until_count: int | None = Field(None, ge=1, le=10**9, description="So many more errors")
    until_escalating: bool = Field(
        False, description="Until it has more errors an hour than its history explains"
    )


class MergeIn(Schema):
    into: UUID = Field(description="A pattern of the same service")
    reason: str = Field("", max_length=1000)
