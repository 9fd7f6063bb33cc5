"""Texts of workflows, judged by the actions and ways that this site knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from healing.actions.base import Action
from healing.actions.registry import actions_known
from healing.domain.definition import Definition
from healing.domain.plain import unplain
from healing.domain.reading import Facts, Known, Wrong, workflow_read
from healing.domain.ways import WAYS
from healing.models import HealingTarget
from healing.services.parameters import SAMPLES, parameters_judge
from health.checks.options import OptionError
from health.services.masks import mask
from resilience_site.core.problems import FieldError, Invalid


def actions_facts() -> Known:
    """Every action, and the ways that are known everywhere."""
    actions = {
        name: Facts(each.safe_to_leave, each.undoes_itself, _check(each))
        for name, each in actions_known().items()
    }
    return Known(actions, frozenset(WAYS))


def known_with(ways: Iterable[str] = ()) -> Known:
    """As `actions_facts`, with the ways that only some target has, and some more."""
    known = actions_facts()
    own = {way for row in HealingTarget.objects.values_list("ways", flat=True) for way in row}
    return Known(known.actions, known.ways | own | set(ways))


def _check(action: Action[Any]) -> Callable[[Mapping[str, Any]], None]:
    def check(parameters: Mapping[str, Any]) -> None:
        parameters_judge(action, parameters, SAMPLES)
        # A workflow is read by everybody, and kept in each of its runs.
        for option, shown in mask(action, parameters).items():
            if shown != parameters[option]:
                words = (
                    "holds a secret: name a variable (${RESILIENCE_HEALING_…}) instead, or put it "
                    "into a way of the target"
                )
                raise OptionError(option, words)

    return check


def definition_read(text: str) -> Definition:
    """The definition that a text is, by what is known here. Raises `Invalid` with each fault, which
    begins with its line."""
    try:
        return workflow_read(text, known_with())
    except Wrong as wrong:
        raise invalid(wrong) from None


def invalid(wrong: Wrong) -> Invalid:
    """The refusal of a text."""
    count = len(wrong.faults)
    told = "; ".join(str(each) for each in wrong.faults[:3])
    return Invalid(
        f"The text has {count} {'fault' if count == 1 else 'faults'}: {told}",
        [FieldError("text", str(each)) for each in wrong.faults],
    )


def text_of(form: Mapping[str, Any]) -> str:
    """A definition that came as JSON, as the text that people edit. Raises `Invalid`."""
    for _, words in unplain(form):
        raise Invalid.field("definition", f"The definition {words}")
    return yaml.safe_dump(dict(form), sort_keys=False, allow_unicode=True, width=100)
