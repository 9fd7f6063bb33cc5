"""Workflows as people write them: YAML (or JSON) read into definitions, all faults at once, each
with its line.

    title: Restart a service that is down
    trigger: {type: check_failed, criticality: [critical, high]}
    steps:
      - {id: restart, action: restart, timeout_seconds: 60}

What a step's action is comes from outside: see `Facts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import yaml
from pydantic import ValidationError

from healing.domain.definition import Definition, Step, Trigger
from healing.domain.lines import Lines, Path, TooMuch
from healing.domain.ordering import Cycle, steps_ordered
from healing.domain.plain import unplain
from health.checks.options import OptionError
from health.services.catalogue_yaml import yaml_read

MOST_BYTES: Final = 65_536
MOST_FILE_BYTES: Final = 524_288
MOST_FAULTS: Final = 50
# What can tell of a target of that kind; every trigger tells of a service.
_TELLING: Final = {
    "breaker": ("breaker_open", "manual"),
    "pattern": ("pattern_spiking", "healed", "manual"),
}


@dataclass(frozen=True)
class Fault:
    """Something wrong: the line it stands on (0 for the text as a whole), its place and why."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path + ': ' if self.path else ''}{self.message}"


class Wrong(Exception):
    """A text that is no workflow, with every fault that was found, by line."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(sorted(dict.fromkeys(faults), key=lambda each: each.line))[:MOST_FAULTS]
        super().__init__("; ".join(map(str, self.faults)))


@dataclass(frozen=True)
class Facts:
    """What must be known of an action to judge a step. `check` raises `OptionError` for parameters
    that it refuses."""

    safe_to_leave: bool
    undoes_itself: bool
    check: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Known:
    """The actions there are, and the names of ways, which targets lead to actions."""

    actions: Mapping[str, Facts]
    ways: frozenset[str]


class Written(NamedTuple):
    """A workflow with the text that it was read from, which is that of a person, comments and all."""

    definition: Definition
    text: str


def workflow_read(text: str, known: Known) -> Definition:
    """The definition that a text is. Raises `Wrong`."""
    if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise Wrong([Fault(0, "", f"A workflow has at most {MOST_BYTES:,} bytes.")])
    lines, document = _document(text)
    faults: list[Fault] = []
    definition = _definition(document, lines, (), known, faults)
    if faults or definition is None:
        raise Wrong(faults)
    return definition


def workflows_read(text: str, known: Known) -> list[Written]:
    """The workflows under `workflows:` of a file, by name or as a list. Raises `Wrong`."""
    lines, document = _document(text)
    section = document.get("workflows") if isinstance(document, Mapping) else None
    faults: list[Fault] = []
    found = []
    for path, value in _entries(section, lines, faults):
        definition = _definition(value, lines, path, known, faults)
        if definition is not None:
            found.append(Written(definition, _own_text(lines, path, definition, value)))
    names: set[str] = set()
    for (path, _), written in zip(_entries(section, lines, []), found, strict=False):
        if written.definition.name in names:
            words = f"there are two workflows {written.definition.name}."
            faults.append(Fault(lines.of(path), "workflows", words))
        names.add(written.definition.name)
    if faults:
        raise Wrong(faults)
    return found


def document_read(text: str) -> dict[str, Any]:
    """A whole file as a mapping, for those of its sections that are no workflows. Raises `Wrong`."""
    _, document = _document(text)
    if not isinstance(document, Mapping):
        raise Wrong([Fault(1, "", "The file must be a mapping of workflows and targets.")])
    return dict(document)


def _document(text: str) -> tuple[Lines, Any]:
    if len(text.encode(errors="surrogatepass")) > MOST_FILE_BYTES:
        raise Wrong([Fault(0, "", f"The text has more than {MOST_FILE_BYTES:,} bytes.")])
    if "\0" in text:
        raise Wrong([Fault(0, "", "The text holds a NUL character, which cannot be kept.")])
    try:
        lines = Lines(text)
        twice = [Fault(line, "", f"{key} stands here twice.") for key, line in lines.repeated()]
        document = yaml_read(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise Wrong([Fault(line, "", f"This is no YAML: {error.problem}.")]) from None
    except TooMuch as error:
        raise Wrong([Fault(0, "", str(error))]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Wrong([Fault(0, "", f"This is no YAML: {error}.")]) from None
    odd = [Fault(lines.of(place), _spelled(place), words) for place, words in unplain(document)]
    if twice or odd:
        raise Wrong([*twice, *odd])
    return lines, document


def _entries(section: Any, lines: Lines, faults: list[Fault]) -> list[tuple[Path, Any]]:
    """Each workflow of a file with its place; one under a name has that name."""
    if section is None:
        return []
    if isinstance(section, list):
        return [(("workflows", n), each) for n, each in enumerate(section)]
    if not isinstance(section, Mapping):
        faults.append(Fault(lines.of(("workflows",)), "workflows", "must be a mapping or a list."))
        return []
    return [
        (
            ("workflows", str(name)),
            {"name": str(name), **each} if isinstance(each, Mapping) else each,
        )
        for name, each in section.items()
    ]


def _definition(
    document: Any, lines: Lines, path: Path, known: Known, faults: list[Fault]
) -> Definition | None:
    if not isinstance(document, Mapping):
        faults.append(Fault(lines.of(path), _spelled(path), "A workflow is a mapping of fields."))
        return None
    begun = len(faults)
    definition = None
    try:
        definition = Definition.model_validate(document)
    except ValidationError as error:
        for each in error.errors()[:MOST_FAULTS]:
            place = [*path, *each["loc"]]
            faults.append(Fault(lines.of(place), _spelled(place), _told(each)))
    faults += [
        Fault(lines.of([*path, *place]), _spelled([*path, *place]), words)
        for place, words in _steps_judged(document.get("steps"), definition, known)
    ]
    if definition is None or len(faults) > begun:
        return None
    return definition.model_copy(update={"steps": list(steps_ordered(definition.steps))})


def _steps_judged(
    given: Any, definition: Definition | None, known: Known
) -> list[tuple[Path, str]]:
    """What is wrong with steps beside their form; those that have none are passed over, so that
    faults of one step do not hide those of another."""
    wrong: list[tuple[Path, str]] = []
    steps: list[tuple[int, Step]] = []
    for n, each in enumerate(given if isinstance(given, list) else []):
        try:
            steps.append((n, Step.model_validate(each)))
        except ValidationError:
            wrong += _unknown(each, n, known)
    for n, step in steps:
        wrong += _step_judged(n, step, known)
    wrong += _order_judged(steps)
    if definition is not None:
        wrong += _whole_judged(definition)
    return wrong


def _unknown(step: Any, n: int, known: Known) -> list[tuple[Path, str]]:
    action = step.get("action") if isinstance(step, Mapping) else None
    if isinstance(action, str) and action not in known.actions and action not in known.ways:
        return [(("steps", n, "action"), _no_action(action, known))]
    return []


def _no_action(name: str, known: Known) -> str:
    return (
        f"{name!r} is neither an action ({', '.join(sorted(known.actions))}) "
        f"nor a way of targets ({', '.join(sorted(known.ways))})."
    )


def _step_judged(n: int, step: Step, known: Known) -> list[tuple[Path, str]]:
    place: Path = ("steps", n)
    wrong = _call_judged(place, step.action, step.parameters, known)
    facts = known.actions.get(step.action)
    if step.compensate is not None:
        call = step.compensate
        wrong += _call_judged((*place, "compensate"), call.action, call.parameters, known)
    elif facts is not None and not (facts.safe_to_leave or facts.undoes_itself):
        words = (
            f"{step.action} is not safe to leave and cannot undo itself: say by compensate how it "
            "is undone where the run fails."
        )
        wrong.append((place, words))
    wrong += [((*place, "verification", *at), words) for at, words in _proof_judged(step)]
    before = step.precondition
    if before is not None and before.type == "has_way" and before.way not in known.ways:
        wrong.append(((*place, "precondition", "way"), f"{before.way!r} is no way of targets."))
    return wrong


def _proof_judged(step: Step) -> list[tuple[Path, str]]:
    """What is wrong with what verifies a step: a field that its type does not go by, and a figure
    without its bound."""
    found = step.verification
    if found is None:
        return []
    of_type = {"check": "passing", "breaker": "breaker_closed", "metric": "metric"}
    wrong: list[tuple[Path, str]] = [
        ((name,), f"is of the type {type_}, not of {found.type}.")
        for name, type_ in of_type.items()
        if getattr(found, name) and found.type != type_
    ]
    bounds = [name for name in ("above", "below") if getattr(found, name) is not None]
    if found.type != "metric":
        wrong += [((name,), f"is of the type metric, not of {found.type}.") for name in bounds]
    elif found.metric is None:
        wrong.append(((), "of the type metric names the metric."))
    elif not bounds:
        wrong.append(((), f"says by above or below what {found.metric} has to be."))
    elif (found.above or 0.0) >= (found.below or 0.0) and len(bounds) == 2:
        wrong.append((("above",), f"nothing is above {found.above:g} and below {found.below:g}."))
    return wrong


def _call_judged(
    place: Path, action: str, parameters: Mapping[str, Any], known: Known
) -> list[tuple[Path, str]]:
    facts = known.actions.get(action)
    if facts is None:
        if action in known.ways:
            return []
        return [((*place, "action"), _no_action(action, known))]
    try:
        facts.check(parameters)
    except OptionError as error:
        return [((*place, "with", error.option), f"{error.option} {error.message}.")]
    return []


def _order_judged(steps: list[tuple[int, Step]]) -> list[tuple[Path, str]]:
    wrong: list[tuple[Path, str]] = []
    ids: set[str] = set()
    for n, step in steps:
        if step.id in ids:
            wrong.append((("steps", n, "id"), f"there are two steps {step.id}."))
        ids.add(step.id)
    for n, step in steps:
        for missing in sorted(set(step.after or ()) - ids):
            wrong.append((("steps", n, "after"), f"there is no step {missing}."))
    if wrong:
        return wrong
    try:
        steps_ordered([step for _, step in steps])
    except Cycle as cycle:
        place = next(n for n, step in steps if step.id == cycle.steps[0])
        round_ = " → ".join([*cycle.steps, cycle.steps[0]])
        wrong.append((("steps", place, "after"), f"the steps wait for each other: {round_}."))
    return wrong


def _whole_judged(definition: Definition) -> list[tuple[Path, str]]:
    wrong: list[tuple[Path, str]] = []
    if definition.strategy == "ladder":
        for n, step in enumerate(definition.steps):
            if step.after is not None:
                words = "rungs of a ladder are climbed one by one, in the order that they stand in."
                wrong.append((("steps", n, "after"), words))
    triggers: list[tuple[Path, Trigger]] = [(("trigger",), definition.trigger)]
    triggers += [(("triggers", n), each) for n, each in enumerate(definition.triggers)]
    wrong += _breakers_judged(definition, [each for _, each in triggers])
    telling = _TELLING.get(definition.target)
    for place, trigger in triggers:
        if telling is not None and trigger.type not in telling:
            words = f"{trigger.type} tells of no {definition.target}; {' and '.join(telling)} do."
            wrong.append(((*place, "type"), words))
    return wrong


def _breakers_judged(definition: Definition, triggers: Sequence[Trigger]) -> list[tuple[Path, str]]:
    """A step that is verified by the breaker of its run needs a run that is about one."""
    if definition.target == "breaker" or all(each.type == "breaker_open" for each in triggers):
        return []
    words = "names the breaker, as not every run of this workflow is about one."
    return [
        (("steps", n, "verification"), words)
        for n, each in enumerate(definition.steps)
        if each.verification is not None
        and each.verification.type == "breaker_closed"
        and not each.verification.breaker
    ]


def _own_text(lines: Lines, path: Path, definition: Definition, value: Mapping[str, Any]) -> str:
    """The text of one workflow of a file; written anew where its lines alone do not mean the same,
    as where they refer to an anchor elsewhere."""
    block = lines.block(path)
    if block is not None:
        text = block if isinstance(path[-1], int) else f"name: {definition.name}\n{block}"
        try:
            if yaml_read(text) == value:
                return text
        except (yaml.YAMLError, ValueError):
            pass
    return yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=100)


def _spelled(path: Path) -> str:
    """`steps[1].action`"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _told(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is no field of a workflow there."
    if error["type"] == "missing":
        return "is required."
    return f"{error['msg']}."
