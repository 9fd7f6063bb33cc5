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

Op = Literal["=", "!=", "in", "not in", ">", ">=", "<", "<=", "contains", "starts with"]
Scalar = str | int | float | bool | None
DAY: Final = 86_400
LONGEST: Final = 7 * DAY
_LABEL: Final = r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$"
LabelName = Annotated[str, Field(pattern=_LABEL)]
FieldPath = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-zA-Z0-9_-]+){0,4}$", max_length=200)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Where(_Form):
    """A comparison of a field of an entry: `state`, `key`, `service`, `kind`, `payload.NAME`."""

    field: FieldPath
    op: Op = "="
    value: Scalar | list[Scalar]


class Ending(_Form):
    """The entries that end what the condition's own began, for the same labels."""

    kinds: list[str] = Field(min_length=1, max_length=10)
    where: list[Where] = Field(default=[], max_length=10)


class _OfJournal(_Form):
    topic: str
    kinds: list[str] = Field(min_length=1, max_length=20)
    where: list[Where] = Field(default=[], max_length=10)
    # Label → field of the entry. Entries with the same values are one alert.
    labels: dict[LabelName, FieldPath] = Field(default={}, max_length=10)
    resolved_by: Ending | None = None


class EventCondition(_OfJournal):
    """Holds once `count` entries match within `within_seconds`.

    It ends by `resolved_by`, or once none has matched for `resolve_after_seconds`. With `members`,
    a field such as `payload.instance`, it ends once each of its values has ended.
    """

    type: Literal["event"]
    count: int = Field(default=1, ge=1, le=1_000)
    within_seconds: int = Field(default=300, ge=1, le=DAY)
    members: FieldPath | None = None
    resolve_after_seconds: int | None = Field(default=None, ge=10, le=LONGEST)


class SilentCondition(_OfJournal):
    """Holds while no entry has matched for `silent_seconds`, of labels that were heard of before.

    Labels that were silent for `forget_seconds` are followed no longer.
    """

    type: Literal["silent"]
    silent_seconds: int = Field(ge=60, le=DAY)
    forget_seconds: int = Field(default=2 * DAY, ge=60, le=LONGEST)


class Baseline(_Form):
    """The threshold is at least `ratio` times the median of the same hour of the `days` before."""

    ratio: float = Field(gt=0, le=1_000)
    days: int = Field(default=7, ge=1, le=28)


class FigureCondition(_Form):
    """A figure over the last `window_seconds`, compared at the end of each minute.

    `each`: of every service (or of those in `services`), or of the whole site. Windows with fewer
    calls than `minimum` do not count.
    """

    type: Literal["figure"]
    metric: str
    each: Literal["service", "site"] = "service"
    services: list[str] = Field(default=[], max_length=100)
    window_seconds: int = Field(default=300, ge=60, le=DAY, multiple_of=60)
    op: Literal[">", ">=", "<", "<="] = ">="
    threshold: float
    baseline: Baseline | None = None
    minimum: int = Field(default=0, ge=0)


class BurnCondition(_Form):
    """The row of the table of burn rates whose long window this is, of every enabled objective."""

    type: Literal["burn"]
    long_seconds: Literal[3_600, 21_600, 259_200]


OfJournal = EventCondition | SilentCondition
Condition = EventCondition | SilentCondition | FigureCondition | BurnCondition
_ANY: Final[TypeAdapter[Condition]] = TypeAdapter(Annotated[Condition, Field(discriminator="type")])


class Wrong(ValueError):
    """Why a rule cannot be: sentences by field, such as `condition.where.0.field`."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in errors))
        self.errors = errors


def condition_read(data: Any) -> Condition:
    """The condition of its JSON form; raises `Wrong`. Names are not looked up here."""
    try:
        return _ANY.validate_python(data)
    except ValidationError as error:
        raise Wrong([_told(each) for each in error.errors()[:20]]) from None


def quiet_for(condition: EventCondition) -> timedelta | None:
    """After how long without a match it ends; None where only `resolved_by` ends it."""
    seconds = condition.resolve_after_seconds
    if seconds is None and condition.resolved_by is None:
        seconds = max(condition.within_seconds, 300)
    return None if seconds is None else timedelta(seconds=seconds)


def _told(error: Mapping[str, Any]) -> tuple[str, str]:
    # The first part of the path names the type of the condition, which is no field.
    place = [str(each) for each in error["loc"] if each not in _TYPES]
    text = str(error["msg"])
    if error["type"] == "union_tag_invalid" or error["type"] == "union_tag_not_found":
        place, text = ["type"], f"Say one of {', '.join(_TYPES)}."
    elif error["type"] == "extra_forbidden":
        text = "There is no such field."
    elif error["type"] == "missing":
        text = "This is needed."
    return ".".join(["condition", *place]), text


_TYPES: Final = ("event", "silent", "figure", "burn")
