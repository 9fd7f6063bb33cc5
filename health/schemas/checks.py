"""Checks, their runs and their history, as the API takes and gives them.

Bodies of writes take anything: what is wrong with them is said, and audited, by the services.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

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


class CheckIn(Schema):
    """A new check. `target` holds the options of its kind; secrets are answered as `***`. Without
    an interval or a timeout it has the site's. `depends_on` names checks, or `service:NAME`."""

    name: Any = None
    kind: Any = None
    service: Any = None
    target: Any = Field({}, description="Options of the kind")
    interval_seconds: Any = None
    timeout_seconds: Any = None
    failures_to_down: Any = 3
    successes_to_up: Any = 2
    degraded_above_ms: Any = None
    settle_seconds: Any = 15.0
    critical: Any = True
    enabled: Any = True
    description: Any = ""
    runbook_url: Any = ""
    depends_on: Any = []
    hard: Any = True


class CheckChange(Schema):
    """The fields to change; what is not sent stays. A secret sent as `***` stays as well. What
    only the site writes (`state`, `version`, …) is passed over, so an answer may be sent back."""

    name: Any = None
    kind: Any = Field(None, description="Never changes")
    service: Any = None
    target: Any = None
    interval_seconds: Any = None
    timeout_seconds: Any = None
    failures_to_down: Any = None
    successes_to_up: Any = None
    degraded_above_ms: Any = None
    settle_seconds: Any = None
    critical: Any = None
    enabled: Any = None
    description: Any = None
    runbook_url: Any = None
    depends_on: Any = None
    hard: Any = None


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
