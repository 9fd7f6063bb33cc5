"""A workflow as it is defined: what it answers to, its steps, how it is verified and held back.

`definition_of` reads the JSON form, which `Workflow.definition` and `HealingRun.definition` hold.
Seconds are floats, shares between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

DAY: Final = 86_400.0
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
# With * and ?, as fnmatch reads them.
Patterns = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=50)
]
Seconds = Annotated[float, Field(ge=0, le=7 * DAY)]
# Figures that every service has, as trends call them.
FigureName = Literal["error_rate", "errors", "traffic", "latency_p50", "latency_p95", "latency_p99"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trigger(_Form):
    """What a run answers to. Empty patterns match everything.

    `names` are those of checks, breakers, types of errors, kinds of predictions or alert rules, as
    the type of the trigger has it. `kinds` are kinds of checks. `criticality` is that of the
    service: a critical failure is a confirmed outage of one that is critical or high.
    `for_seconds`: how long it must have failed; what is over sooner starts nothing. `output` are
    patterns over what the check last said. `quiet_seconds`, `workflows` and `degraded` are of
    `healed`: how long nothing must have failed since a heal by one of these workflows, and whether
    the service has to run at the lower level that the heal set.
    """

    type: Literal[
        "check_failed", "breaker_open", "pattern_spiking", "prediction", "alert", "healed", "manual"
    ]
    services: Patterns = []
    names: Patterns = []
    kinds: Patterns = []
    output: Patterns = []
    criticality: list[Literal["critical", "high", "medium", "low", ""]] = []
    probability: Annotated[float, Field(ge=0, le=1)] = 0.7
    for_seconds: Seconds = 0.0
    quiet_seconds: Seconds = 600.0
    workflows: Patterns = []
    degraded: bool = False


class Call(_Form):
    """An action, or a way of the target that leads to one, with its parameters."""

    action: Name
    parameters: dict[str, Any] = Field(default={}, alias="with")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Precondition(_Form):
    """What must hold right before the action; otherwise the step is skipped, or, with `required`,
    has failed.

    `failing`: the triggering check still fails. `has_way`: the target has this way. `breaker_open`:
    the breaker is open. `quiet`: nothing of the target failed since the trigger.
    """

    type: Literal["failing", "has_way", "breaker_open", "quiet"]
    way: str = ""
    required: bool = False


class StepVerification(_Form):
    """What has to come true after the action, within `timeout_seconds`; else the attempt has failed.

    `passing`: the target is well by what verifies the run, or by the check of its service that
    `check` names, `passes` times in a row. `breaker_closed`: the run's breaker, or the one of its
    service that `breaker` names, lets calls through. `quiet`: nothing of the target fails.
    `metric`: a figure of its service is `above` or `below` a bound, in a minute after the action.
    """

    type: Literal["passing", "breaker_closed", "quiet", "metric"]
    check: Annotated[str, Field(max_length=200)] = ""
    breaker: Annotated[str, Field(max_length=200)] = ""
    passes: Annotated[int, Field(ge=1, le=20)] = 1
    metric: FigureName | None = None
    above: float | None = None
    below: float | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0


class Step(_Form):
    """One step; `after` names steps that come before it (by default the one above it).

    `retries` are further attempts after the first, `retry_seconds` apart and doubling; one whose
    `verification` does not come true has failed like one whose action did.
    `compensate` undoes it; an action may know how to undo itself, or be safe to leave as it is.
    """

    id: Name
    action: Name
    parameters: dict[str, Any] = Field(default={}, alias="with")
    precondition: Precondition | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    retries: Annotated[int, Field(ge=0, le=5)] = 0
    retry_seconds: Annotated[float, Field(ge=0, le=300)] = 2.0
    after: list[Name] | None = None
    verification: StepVerification | None = None
    compensate: Call | None = None

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Verification(_Form):
    """`passes` runs of the triggering check in a row, and no neighbour that began to fail.

    `timeout_seconds` 0: HEALING_VERIFICATION_TIMEOUT. `rung_seconds`: how long a rung of a ladder
    is given before the next one is climbed.
    """

    passes: Annotated[int, Field(ge=1, le=20)] = 2
    timeout_seconds: Seconds = 0.0
    rung_seconds: Seconds = 30.0
    neighbours: bool = True


class Guards(_Form):
    """The bounds that guardrails keep; see `healing.domain.guardrails`."""

    cooldown_seconds: Seconds = 600.0
    per_hour: Annotated[int, Field(ge=1, le=1000)] = 3
    per_day: Annotated[int, Field(ge=1, le=10_000)] = 6
    per_service: Annotated[int, Field(ge=1, le=100)] = 1
    at_once: Annotated[int, Field(ge=1, le=1000)] = 3
    group_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    failures_to_approve: Annotated[int, Field(ge=1, le=100)] = 3
    budget_left: Annotated[float, Field(ge=0, le=1)] = 0.1
    approval_seconds: Annotated[float, Field(gt=0, le=7 * DAY)] = 1800.0
    # Heals of one target in 24 hours from which on a person should look why.
    chronic_per_day: Annotated[int, Field(ge=1, le=10_000)] = 4


class Definition(_Form):
    """A whole workflow. `steps` stand in the order in which they run."""

    name: Name
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=5000)] = ""
    priority: Annotated[int, Field(ge=0, le=1000)] = 100
    trigger: Trigger
    # Further triggers; any of them is enough.
    triggers: list[Trigger] = Field(default=[], max_length=10)
    target: Literal["service", "breaker", "pattern"] = "service"
    strategy: Literal["sequence", "ladder"] = "sequence"
    steps: list[Step] = Field(min_length=1, max_length=20)
    verification: Verification = Verification()
    guards: Guards = Guards()
    deadline_seconds: Annotated[float, Field(gt=0, le=DAY)] = 1800.0

    def step(self, step_id: str) -> Step:
        """A step by its id; raises `KeyError`."""
        return {each.id: each for each in self.steps}[step_id]


def definition_of(form: Mapping[str, Any]) -> Definition:
    """A definition that was stored. Raises pydantic's `ValidationError` where it is none."""
    return Definition.model_validate(form)


def definition_form(definition: Definition) -> dict[str, Any]:
    """The JSON form that is stored."""
    return definition.model_dump(mode="json", by_alias=True)
