"""What the control plane's part of the API takes and gives.

Bodies of writes take anything: what is wrong with them is said, and audited, by the services.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from ninja import Field, Schema
from pydantic import ConfigDict

from breakers.choices import AUTO, Level, OverrideState
from breakers.domain.policy import BREAKERS, BULKHEADS
from breakers.models.telemetry import NAME
from breakers.services.degraded import MAX_NOTICE
from breakers.services.requests import LONGEST_SECONDS, MAX_TEXT
from resilience_site.core.bodies import AnyJson, Body, Like, one_of
from resilience_site.core.pagination import PageQuery, RangeQuery

_Reason = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
_Seconds = Annotated[float, Field(ge=1, le=LONGEST_SECONDS)]
_NamesOf = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=NAME)]], Field(max_length=500)
]
_SETTINGS: Final = (
    f"Of a breaker: {', '.join(BREAKERS.settings)}. Of a bulkhead: {', '.join(BULKHEADS.settings)}"
)


class Written(Body):
    """A body of a write: a field that there is not is a slip of the pen, and refused."""

    model_config = ConfigDict(extra="forbid")


class BreakerQuery(PageQuery):
    """Filters of the breakers; each narrows the list."""

    service: str = ""
    state: str = Field("", description="A state, or silent")
    domain: str = ""
    q: str = Field("", max_length=200, description="Words of the service or the name")


class TransitionQuery(RangeQuery):
    """Filters of the transitions; each narrows the list."""

    service: str = ""
    name: str = ""
    instance: str = ""
    to_state: str = ""


class FiguresQuery(RangeQuery):
    """Filters of retries and fallbacks."""

    service: str = ""
    dependency: str = ""


class BulkheadQuery(RangeQuery):
    """Filters of bulkheads."""

    service: str = ""
    name: str = ""


class ToggleQuery(PageQuery):
    """Filters of toggles."""

    q: str = Field("", max_length=200)


class ServiceQuery(PageQuery):
    """A filter by service."""

    service: str = ""


class OverrideOut(Schema):
    scope: str
    state: str
    reason: str
    actor: str
    created_at: datetime
    expires_at: datetime | None
    instance: str = ""
    domain: str = ""


class BreakerInstanceOut(Schema):
    instance: str
    state: str
    since: datetime
    applied_version: int | None
    applied_at: datetime | None
    last_seen: datetime
    silent: bool
    restarts: int
    reason: str
    next_probe_at: datetime | None


class AppliedOut(Schema):
    """`current` of `live` instances work by the present document."""

    version: int | None
    current: int
    live: int


class BreakerOut(Schema):
    """Figures are those of the last `window_seconds`; rates are null under the minimum of calls."""

    key: str
    service: str
    name: str
    state: str
    silent: bool
    disagrees: bool
    since: datetime
    reason: str
    next_probe_at: datetime | None
    override: OverrideOut | None
    overrides: list[OverrideOut]
    instances: list[BreakerInstanceOut]
    failure_rate: float | None
    slow_call_rate: float | None
    calls: int
    failures: int
    slow: int
    rejected: int
    window_seconds: int
    minimum_number_of_calls: int
    policy: dict[str, Any] | None
    domains: list[str]
    applied: AppliedOut


class OverrideIn(Written):
    """`state`: forced_open, forced_closed, disabled, metrics_only or auto; the last needs neither
    `reason` nor `expires_in` (seconds, 1 to 86400)."""

    state: Annotated[Any, Like(one_of([*OverrideState.values, AUTO]), needed=True)] = None
    reason: Annotated[Any, Like(str | None, max_length=MAX_TEXT)] = None
    expires_in: Annotated[Any, Like(_Seconds | None)] = None
    instance: Annotated[Any, Like(str | None, max_length=NAME)] = Field(
        None, description="One instance alone, by its `service.instance.id`; of a breaker"
    )


class ResetIn(Written):
    """Without `instance` in every instance."""

    reason: Annotated[Any, Like(_Reason, needed=True)] = None
    instance: Annotated[Any, Like(str | None, max_length=NAME)] = None


class DomainResetIn(Written):
    """Why every breaker of the domain is to start anew."""

    reason: Annotated[Any, Like(_Reason, needed=True)] = None


class PolicyIn(Written):
    """All settings that the site gives; {} gives none."""

    policy: Annotated[Any, Like(dict[str, float | str | None], needed=True)] = Field(
        None, description=_SETTINGS
    )
    reason: Annotated[Any, Like(_Reason, needed=True)] = None


class RollbackIn(Written):
    """`number` of the change to go back to; 0: none of the site's settings."""

    number: Annotated[Any, Like(int, needed=True, ge=0, lt=2**31)] = None
    reason: Annotated[Any, Like(_Reason, needed=True)] = None


class PolicyOut(Schema):
    number: int
    policy: dict[str, Any]
    before: dict[str, Any]
    reason: str
    actor: str
    created_at: datetime
    rolled_back_to: int | None


class TransitionOut(Schema):
    id: UUID
    at: datetime
    service: str
    name: str
    instance: str
    from_state: str
    to_state: str
    reason: str
    failure_rate: float | None
    calls: int | None
    trace_id: str


class DomainOut(Schema):
    """`version` changes with the breakers and with what one of the services is told; it says
    nothing of which was first."""

    name: str
    version: int
    override: OverrideOut | None
    services: list[str]
    breakers: list[BreakerOut]


class BudgetOut(Schema):
    """Calls and retries of the last `window_seconds`, retries left now, attempts per call."""

    calls: int | None
    retries: int | None
    left: int | None
    amplification: float | None
    window_seconds: int


class RetryOut(Schema):
    service: str
    dependency: str
    window_seconds: float
    attempts: int
    retried: int
    succeeded: int
    refused: int
    failed: int
    by_outcome: dict[str, int]
    by_classification: dict[str, int]
    delay_ms: float | None
    budget: BudgetOut | None


class SourceOut(Schema):
    source: str
    served: int
    age_mean: float | None
    age_max: float | None


class FallbackOut(Schema):
    service: str
    dependency: str
    window_seconds: float
    served: int
    calls: int | None
    rate: float
    share: float | None
    age_mean: float | None
    age_max: float | None
    sources: list[SourceOut]


class BulkheadInstanceOut(Schema):
    instance: str
    active: int | None
    queued: int | None
    limit: int | None
    last_seen: datetime
    silent: bool


class RejectionOut(Schema):
    tier: str
    reason: str
    rejected: int


class BreachOut(Schema):
    at: datetime
    instance: str
    kind: str
    mitigation: str


class BulkheadOut(Schema):
    service: str
    name: str
    window_seconds: float
    active: int | None
    queued: int | None
    limit: int | None
    use: float | None
    rejected: int
    rejections: list[RejectionOut]
    instances: list[BulkheadInstanceOut]
    breaches: int


class ToggleIn(Written):
    """`value` is any JSON; without `expires_in` (seconds) it stays until it is set again."""

    value: Annotated[Any, Like(AnyJson, needed=True)] = None
    reason: Annotated[Any, Like(_Reason, needed=True)] = None
    expires_in: Annotated[Any, Like(_Seconds | None)] = None
    otherwise: Annotated[Any, Like(AnyJson)] = Field(
        False, description="What those get who are not within `rollout`"
    )
    rollout: Annotated[Any, Like(float, ge=0, le=1)] = Field(
        1.0, description="The share of those who ask that gets `value`"
    )
    services: Annotated[Any, Like(_NamesOf)] = Field([], description="Empty for all of them")
    instances: Annotated[Any, Like(_NamesOf)] = Field([], description="Empty for all of them")
    owner: Annotated[Any, Like(str | None, max_length=NAME)] = None
    description: Annotated[Any, Like(str | None, max_length=MAX_TEXT)] = None


class RevertIn(Written):
    reason: Annotated[Any, Like(str | None, max_length=MAX_TEXT)] = None


class ToggleOut(Schema):
    key: str
    value: Any
    is_set: bool
    state: str
    otherwise: Any
    rollout: float
    services: list[str]
    instances: list[str]
    owner: str
    description: str
    reason: str
    actor: str
    created_at: datetime
    expires_at: datetime | None
    version: int
    current: int = Field(description="Live instances that work by it")
    live: int = Field(description="Live instances that it concerns")


class DegradedIn(Written):
    """`normal` ends it, and needs no `reason`; without `expires_in` (seconds) a level stays until
    another is set."""

    level: Annotated[Any, Like(Level, needed=True)] = None
    notice: Annotated[Any, Like(str | None, max_length=MAX_NOTICE)] = Field(
        None, description="What the users of the service read; the site has words of its own"
    )
    reason: Annotated[Any, Like(str | None, max_length=MAX_TEXT)] = None
    expires_in: Annotated[Any, Like(_Seconds | None)] = None


class DegradedOut(Schema):
    service: str
    level: str
    notice: str
    reason: str
    actor: str
    created_at: datetime | None
    expires_at: datetime | None
    version: int
    applied: AppliedOut


class InstanceOut(Schema):
    """An instance, and the version of its control document that it has applied."""

    service: str
    instance: str
    version: str
    applied_version: int | None
    document_version: int
    applied_at: datetime | None
    last_seen: datetime
    silent: bool
    started_at: datetime | None
    restarts: int
    restarted_at: datetime | None
