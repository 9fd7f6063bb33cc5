"""Conditions of rules: their JSON form, read and checked.

`event`: entries of the journal that match, so many within a window. `silent`: no such entry for a
time. `figure`: a figure of services compared with a threshold, minute by minute. `burn`: a row of
the table of burn rates holds for an objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from alerting.domain.rules.catalogue import SAMPLES, kinds_of
from alerting.domain.rules.measures import FIGURES

Op = Literal["=", "!=", "in", "not in", ">", ">=", "<", "<=", "contains", "starts with"]
Scalar = str | int | float | bool | None
DAY: Final = 86_400
LONGEST: Final = 7 * DAY
_LABEL: Final = r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$"
LabelName = Annotated[str, Field(pattern=_LABEL)]
# What names can be is looked up by `checking`, which says more of it; here it is told in advance.
_TOPICS: Final[dict[str, Any]] = {"enum": list(SAMPLES)}
_METRICS: Final[dict[str, Any]] = {"enum": list(FIGURES)}
_KINDS: Final = "Kinds of the topic, any of which counts. By topic: " + " ".join(
    f"{topic}: {', '.join(kinds_of(topic))}." for topic in SAMPLES
)
FieldPath = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-zA-Z0-9_-]+){0,4}$", max_length=200)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Where(_Form):
    """A comparison of a field of an entry: `state`, `key`, `service`, `kind`, `payload.NAME`."""

    field: FieldPath = Field(description="kind, key, state, service or payload.NAME")
    op: Op = Field(default="=", description="How the field's value is compared")
    value: Scalar | list[Scalar] = Field(
        description="What it is compared with: a list with in and not in, one value with the others"
    )


class Ending(_Form):
    """The entries that end what the condition's own began, for the same labels."""

    kinds: list[str] = Field(
        min_length=1, max_length=10, description="Kinds of the same topic, any of which ends it"
    )
    where: list[Where] = Field(
        default=[], max_length=10, description="Comparisons, all of which must be true"
    )


class _OfJournal(_Form):
    topic: str = Field(description="What it is about", json_schema_extra=_TOPICS)
    kinds: list[str] = Field(min_length=1, max_length=20, description=_KINDS)
    where: list[Where] = Field(
        default=[], max_length=10, description="Comparisons, all of which must be true"
    )
    labels: dict[LabelName, FieldPath] = Field(
        default={},
        max_length=10,
        description="Label and the field that its value is of. Entries with the same values and "
        "the same service are one alert",
    )
    resolved_by: Ending | None = Field(default=None, description="The entries that end it")


class EventCondition(_OfJournal):
    """Holds once `count` entries match within `within_seconds`.

    It ends by `resolved_by`, or once none has matched for `resolve_after_seconds`. With `members`,
    a field such as `payload.instance`, it ends once each of its values has ended.
    """

    type: Literal["event"]
    count: int = Field(default=1, ge=1, le=1_000, description="How many entries it takes")
    within_seconds: int = Field(
        default=300, ge=1, le=DAY, description="The window in which they are counted"
    )
    members: FieldPath | None = Field(
        default=None, description="A field of which each value begins and ends by itself"
    )
    resolve_after_seconds: int | None = Field(
        default=None,
        ge=10,
        le=LONGEST,
        description="How long after the last entry it is over. Without it and without resolved_by: "
        "within_seconds, at least 300",
    )


class SilentCondition(_OfJournal):
    """Holds while no entry has matched for `silent_seconds`, of labels that were heard of before.

    Labels that were silent for `forget_seconds` are followed no longer.
    """

    type: Literal["silent"]
    silent_seconds: int = Field(ge=60, le=DAY, description="How long nothing has come")
    forget_seconds: int = Field(
        default=2 * DAY, ge=60, le=LONGEST, description="How long it is waited for at most"
    )


class Baseline(_Form):
    """The threshold is at least `ratio` times the median of the same hour of the `days` before."""

    ratio: float = Field(gt=0, le=1_000, description="How many times the median")
    days: int = Field(default=7, ge=1, le=28, description="Days before that the median is of")


class FigureCondition(_Form):
    """A figure over the last `window_seconds`, compared at the end of each minute.

    `each`: of every service (or of those in `services`), or of the whole site. Windows with fewer
    calls than `minimum` do not count.
    """

    type: Literal["figure"]
    metric: str = Field(
        description=". ".join(
            f"{name}: {each.title} ({each.measured})" for name, each in FIGURES.items()
        ),
        json_schema_extra=_METRICS,
    )
    each: Literal["service", "site"] = Field(
        default="service", description="Of every service by itself, or of the whole site"
    )
    services: list[str] = Field(
        default=[], max_length=100, description="Only these services; none for all of them"
    )
    window_seconds: int = Field(
        default=300, ge=60, le=DAY, multiple_of=60, description="Whole minutes that it is of"
    )
    op: Literal[">", ">=", "<", "<="] = Field(
        default=">=", description="How the figure is compared with the threshold"
    )
    threshold: float = Field(description="In the figure's unit; a share of 5 % is 0.05")
    baseline: Baseline | None = Field(
        default=None, description="Compares with the days before as well"
    )
    minimum: int = Field(
        default=0, ge=0, description="Calls that a window must have; of figures per call only"
    )


class BurnCondition(_Form):
    """The row of the table of burn rates whose long window this is, of every enabled objective."""

    type: Literal["burn"]
    long_seconds: Literal[3_600, 21_600, 259_200] = Field(
        description="3600 for the fastest row, 259200 for the slowest"
    )


OfJournal = EventCondition | SilentCondition
Condition = EventCondition | SilentCondition | FigureCondition | BurnCondition
CONDITION: Final[TypeAdapter[Condition]] = TypeAdapter(
    Annotated[Condition, Field(discriminator="type")]
)


class Wrong(ValueError):
    """Why a rule cannot be: sentences by field, such as `condition.where.0.field`."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in errors))
        self.errors = errors


def condition_read(data: Any) -> Condition:
    """The condition of its JSON form; raises `Wrong`. Names are not looked up here."""
    try:
        return CONDITION.validate_python(data)
    except ValidationError as error:
        raise Wrong([_told(each) for each in error.errors()[:20]]) from None


def quiet_for(condition: EventCondition) -> timedelta | None:
    """After how long without a match it ends; None where only `resolved_by` ends it."""
    seconds = condition.resolve_after_seconds
    if seconds is None and condition.resolved_by is None:
        seconds = max(condition.within_seconds, 300)
    return None if seconds is None else timedelta(seconds=seconds)


def _told(error: Mapping[str, Any]) -> tuple[str, str]:
    place = [str(each) for each in error["loc"]]
    if place and place[0] in _TYPES:
        # It names the type of the condition, which is no field.
        del place[0]
    text = str(error["msg"])
    if error["type"] == "union_tag_invalid" or error["type"] == "union_tag_not_found":
        place, text = ["type"], f"Say one of {', '.join(_TYPES)}."
    elif error["type"] == "extra_forbidden":
        text = "There is no such field."
    elif error["type"] == "missing":
        text = "This is needed."
    return ".".join(["condition", *place]), text


_TYPES: Final = ("event", "silent", "figure", "burn")
