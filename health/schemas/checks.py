"""Checks, their runs and their history, as the API takes and gives them.

Bodies of writes take anything: what is wrong with them is said, and audited, by the services.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema

from health.domain.state import MOST_IN_A_ROW
from health.models.checks import NAME
from health.services.check_fields import (
    LONGEST_INTERVAL,
    LONGEST_SETTLE,
    LONGEST_TIMEOUT,
    MOST_DESCRIPTION,
    MOST_URL,
    SHORTEST_INTERVAL,
    SHORTEST_TIMEOUT,
)
from health.services.dependencies import MOST_PARENTS
from health.services.targets import kinds_known
from resilience_site.core.bodies import Body, Like, one_of
from resilience_site.core.pagination import PageQuery, RangeQuery

MOST_AT_ONCE = 5_000


class CheckQuery(PageQuery):
    """Filters of the checks; each narrows the list."""

    service: str = ""
    kind: str = ""
    state: str = Field("", description="A state, or paused for checks that are switched off")
    name: str = Field("", max_length=200, description="The exact name")
    q: str = Field("", max_length=200, description="Part of the name of the check or its service")


class HealthQuery(CheckQuery):
    """Filters of the checks in the answer; the figures are always those of the whole."""

    limit: int = Field(1_000, ge=1, le=MOST_AT_ONCE, description="Checks in the answer")


class ResultQuery(RangeQuery):
    """A page of results, of some statuses (with commas between) or of all."""

    status: str = ""


class DeleteQuery(Schema):
    force: bool = Field(False, description="Also take away the edges of those that need it")


# --- Checks


_Name = Annotated[str, Field(min_length=1, max_length=NAME, pattern="^[^/]*$")]
_Service = Annotated[str, Field(min_length=1, max_length=NAME)]
_Interval = Annotated[float, Field(ge=SHORTEST_INTERVAL, le=LONGEST_INTERVAL)]
_Timeout = Annotated[float, Field(ge=SHORTEST_TIMEOUT, le=LONGEST_TIMEOUT)]
_InARow = Annotated[int, Field(ge=1, le=MOST_IN_A_ROW)]
_SlowMs = Annotated[float, Field(ge=0.001, le=LONGEST_TIMEOUT * 1_000)]
_Settle = Annotated[float, Field(ge=0, le=LONGEST_SETTLE)]
_Text = Annotated[str, Field(max_length=MOST_DESCRIPTION)]
_Url = Annotated[str, Field(max_length=MOST_URL)]
_Parents = Annotated[list[str], Field(max_length=MOST_PARENTS)]


class CheckIn(Body):
    """A new check. `target` holds the options of its kind; secrets are answered as `***`. Without
    an interval or a timeout it has the site's. `depends_on` names checks, or `service:NAME`."""

    name: Annotated[Any, Like(_Name, needed=True)] = None
    kind: Annotated[Any, Like(one_of(kinds_known()), needed=True)] = None
    service: Annotated[Any, Like(_Service, needed=True)] = None
    target: Annotated[Any, Like(dict[str, Any])] = Field({}, description="Options of the kind")
    interval_seconds: Annotated[Any, Like(_Interval | None)] = None
    timeout_seconds: Annotated[Any, Like(_Timeout | None)] = None
    failures_to_down: Annotated[Any, Like(_InARow)] = 3
    successes_to_up: Annotated[Any, Like(_InARow)] = 2
    degraded_above_ms: Annotated[Any, Like(_SlowMs | None)] = Field(
        None, description="A run that takes longer makes the check degraded"
    )
    settle_seconds: Annotated[Any, Like(_Settle)] = Field(
        15.0, description="How long it must be down before anybody is told"
    )
    critical: Annotated[Any, Like(bool)] = True
    enabled: Annotated[Any, Like(bool)] = True
    description: Annotated[Any, Like(_Text)] = ""
    runbook_url: Annotated[Any, Like(_Url)] = Field("", description="An http or https address")
    depends_on: Annotated[Any, Like(_Parents)] = []
    hard: Annotated[Any, Like(bool)] = Field(
        True, description="Whether it is unreachable while something that it needs is down"
    )


class CheckChange(Body):
    """The fields to change; what is not sent stays. A secret sent as `***` stays as well. What
    only the site writes (`state`, `version`, …) is passed over, so an answer may be sent back."""

    name: Annotated[Any, Like(_Name)] = None
    kind: Annotated[Any, Like(one_of(kinds_known()))] = Field(None, description="Never changes")
    service: Annotated[Any, Like(_Service)] = None
    target: Annotated[Any, Like(dict[str, Any])] = Field(None, description="Options of the kind")
    interval_seconds: Annotated[Any, Like(_Interval)] = None
    timeout_seconds: Annotated[Any, Like(_Timeout)] = None
    failures_to_down: Annotated[Any, Like(_InARow)] = None
    successes_to_up: Annotated[Any, Like(_InARow)] = None
    degraded_above_ms: Annotated[Any, Like(_SlowMs | None)] = None
    settle_seconds: Annotated[Any, Like(_Settle)] = None
    critical: Annotated[Any, Like(bool)] = None
    enabled: Annotated[Any, Like(bool)] = None
    description: Annotated[Any, Like(_Text)] = None
    runbook_url: Annotated[Any, Like(_Url)] = None
    depends_on: Annotated[Any, Like(_Parents)] = Field(None, description="In place of all it needs")
    hard: Annotated[Any, Like(bool | None)] = Field(
        None, description="Null, with the `depends_on` of an answer, leaves its edges as they are"
    )


class CheckBriefOut(Schema):
    """`culprit` is the name of the check that explains the state, null where none does."""

    id: UUID
    name: str
    kind: str
    service: str
    state: str
    own_state: str = Field(description="By its own runs, whatever it needs")
    culprit: str | None
    culprit_id: UUID | None
    since: datetime
    latency_ms: float | None
    depends_on: list[str]
    critical: bool
    enabled: bool
    flapping: bool
    output: str
    last_run_at: datetime | None


class CheckOut(CheckBriefOut):
    """`hard` tells of its own edges: null where some are hard and some soft, or none is there."""

    hard: bool | None
    target: dict[str, Any]
    interval_seconds: float
    timeout_seconds: float
    failures_to_down: int
    successes_to_up: int
    degraded_above_ms: float | None
    settle_seconds: float
    description: str
    runbook_url: str
    managed_by: str
    failures: int = Field(description="Failed runs in a row")
    successes: int = Field(description="Good runs in a row")
    last_status: str
    last_success_at: datetime | None
    next_due_at: datetime | None
    observed: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime
    push_url: str | None = Field(
        None, description="Where heartbeats go; only in the answer that made the token"
    )


class RunOut(Schema):
    """What a run found, and the check after it."""

    status: str
    output: str
    latency_ms: float | None
    started_at: datetime
    observed: dict[str, Any]
    check: CheckOut


class ResultOut(Schema):
    at: datetime
    status: str
    cause: str
    latency_ms: float | None
    late_ms: float | None
    output: str
    observed: dict[str, Any] | None


class ChangeOut(Schema):
    """In effect from `since`, found out at `at`."""

    id: int
    at: datetime
    since: datetime
    from_state: str
    state: str
    own_state: str
    culprit: str
    reason: str


class OutageOut(Schema):
    """`held_by` says why nobody was told of it; empty once somebody was."""

    id: UUID
    started_at: datetime
    confirmed_at: datetime
    ended_at: datetime | None
    announced_at: datetime | None
    held_by: str
    culprit: str
    output: str


class HeartbeatOut(Schema):
    status: str
    received_at: datetime


# --- The graph


# --- Maintenance
