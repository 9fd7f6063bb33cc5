"""Alert rules and their trials, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Schema
from pydantic import model_validator

from alerting.choices import Origin, Severity
from alerting.domain.rules.conditions import Condition, LabelName
from alerting.services.rules.form import LONGEST
from alerting.services.rules.texts import MOST_TEMPLATE
from resilience_site.core.bodies import Body, Like
from resilience_site.core.pagination import PageQuery


class RuleQuery(PageQuery):
    severity: Severity | Literal[""] = ""
    enabled: bool | None = None
    faulty: bool | None = Field(None, description="Whether something is wrong with the rule")


_Condition = Annotated[Condition, Field(discriminator="type")]
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,99}$")]
_Template = Annotated[str, Field(max_length=MOST_TEMPLATE)]


class _Object(Body):
    """What needs no field: any other value would pass for an object without one."""

    @model_validator(mode="before")
    @classmethod
    def _is_object(cls, given: Any) -> Any:
        # ninja wraps what came, so that fields are looked up in it as attributes.
        if isinstance(getattr(given, "_obj", given), list | str | int | float):
            raise ValueError("This must be an object.")
        return given


class RuleIn(_Object):
    """The fields of a rule that are to change; what is not given, or null, stays as it is."""

    name: Annotated[Any, Like(_Name | None)] = Field(
        None, description="Small letters, digits, - and _; the label alertname"
    )
    title: Annotated[Any, Like(str | None, min_length=1, max_length=200)] = None
    description: Annotated[Any, Like(_Template | None)] = None
    severity: Annotated[Any, Like(Severity | None)] = None
    condition: Annotated[Any, Like(_Condition)] = Field(
        None,
        description="What is watched. By its type: entries of the journal (event), their staying "
        "away (silent), a figure (figure) or the burning of an error budget (burn). The "
        "site shows all that can be named, with examples, at /alerts/watchable",
        examples=[
            {
                "type": "event",
                "topic": "breakers",
                "kinds": ["breaker.transition"],
                "where": [{"field": "state", "value": "open"}],
                "labels": {"breaker": "payload.name"},
            }
        ],
    )
    for_seconds: Annotated[Any, Like(int | None, ge=0, le=LONGEST)] = Field(
        None, description="How long it must hold before the alert fires"
    )
    keep_firing_seconds: Annotated[Any, Like(int | None, ge=0, le=LONGEST)] = Field(
        None, description="How long it must be gone before it ends"
    )
    labels: Annotated[Any, Like(dict[LabelName, _Template] | None, max_length=20)] = Field(
        None, description="Further labels: templates over labels"
    )
    summary: Annotated[Any, Like(_Template | None, min_length=1)] = Field(
        None, description="A template over labels and facts"
    )
    details: Annotated[Any, Like(_Template | None)] = Field(None, description="As `summary`")
    runbook_url: Annotated[Any, Like(str | None, max_length=500)] = Field(
        None, description="A whole URL, or /runbooks/NAME of this site"
    )
    enabled: Annotated[Any, Like(bool | None)] = None


class RuleNewIn(RuleIn):
    """A rule; what is not given, or null, is as by default."""

    name: Annotated[Any, Like(_Name, needed=True)] = Field(
        None, description="Small letters, digits, - and _; the label alertname"
    )
    title: Annotated[Any, Like(str, needed=True, min_length=1, max_length=200)] = None
    severity: Annotated[Any, Like(Severity, needed=True)] = None
    condition: Annotated[Any, Like(_Condition, needed=True)] = Field(
        None, description="What is watched: see RuleIn"
    )
    summary: Annotated[Any, Like(_Template, needed=True, min_length=1)] = Field(
        None, description="A template over labels and facts"
    )


class RuleOut(Schema):
    """A rule; `fault` says what is wrong with it, `firing` how many of its alerts fire now."""

    name: str
    title: str
    description: str
    severity: Severity
    condition: dict[str, Any] = Field(description="As it is given: see RuleIn")
    for_seconds: int
    keep_firing_seconds: int
    labels: dict[str, str]
    summary: str
    details: str
    runbook_url: str
    enabled: bool
    origin: Origin
    fault: str
    faulty_since: datetime | None
    firing: int
    changed_at: datetime
    changed_by: str
    version: int


class TrialRangeIn(_Object):
    """The range to try a rule on: RFC 3339 or a length such as 1h, at most 7 days. `rule` holds
    fields to try in place of those that are stored."""

    since: str = "7d"
    until: str = ""
    rule: RuleIn | None = None


class NewTrialIn(Schema):
    """As above, for a rule that is not stored."""

    since: str = "7d"
    until: str = ""
    rule: RuleNewIn


class TriedAlertOut(Schema):
    """An alert that would have fired. `alert_id` and `url` are those of the alert that the live
    evaluation made of the same; `link` leads to what it is about."""

    labels: dict[str, str]
    service: str
    started_at: datetime
    fired_at: datetime
    ended_at: datetime | None = Field(description="Null where it would still fire at the end")
    summary: str
    details: str
    facts: dict[str, Any]
    link: str
    alert_id: UUID | None
    url: str


class RuleTrialOut(Schema):
    """What a rule makes of [since, until): the alerts that fire within, the newest first, at most
    200 of them. `until` may be earlier than asked for, as figures take 2 minutes to settle."""

    since: datetime
    until: datetime
    words: str
    fired: int
    pending: int = Field(description="Times that the condition began to hold")
    firing_seconds: float = Field(description="Of all alerts together, within the range")
    fault: str = Field(description="Which of its texts failed, empty for none")
    notes: list[str] = Field(
        description="Why alerts that fired in the range may have been others: the rule was "
        "changed since, or what came late is not known any more"
    )
    alerts: list[TriedAlertOut]
