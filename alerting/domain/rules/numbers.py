"""The numbers of a condition: what is tuned while its meaning stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alerting.domain.rules.conditions import (
    BurnCondition,
    Condition,
    EventCondition,
    FigureCondition,
    SilentCondition,
)
from alerting.domain.rules.measures import FIGURES


@dataclass(frozen=True)
class Number:
    """A number of a condition. `path` is where its JSON has it, such as `baseline.ratio`; `value`
    is None where it may be left out, and is."""

    path: str
    label: str
    value: float | None
    whole: bool = True
    optional: bool = False


def condition_numbers(condition: Condition) -> list[Number]:
    """The numbers that a condition has, in the order in which people think of them."""
    match condition:
        case EventCondition():
            return [
                Number("count", "Entries that it takes", condition.count),
                Number(
                    "within_seconds",
                    "Seconds within which they come",
                    condition.within_seconds,
                ),
                Number(
                    "resolve_after_seconds",
                    "Seconds after the last one until it is over",
                    condition.resolve_after_seconds,
                    optional=True,
                ),
            ]
        case SilentCondition():
            return [
                Number("silent_seconds", "Seconds without an entry", condition.silent_seconds),
                Number(
                    "forget_seconds",
                    "Seconds after which it is waited for no longer",
                    condition.forget_seconds,
                ),
            ]
        case FigureCondition():
            return _figure(condition)
        case BurnCondition():
            return []


def number_set(condition: Mapping[str, Any], path: str, value: float | None) -> dict[str, Any]:
    """The JSON of a condition with another number at `path`, or with none there."""
    name, _, rest = path.partition(".")
    if rest:
        return {**condition, name: number_set(condition[name], rest, value)}
    changed = {**condition, name: value}
    if value is None:
        del changed[name]
    return changed


def _figure(condition: FigureCondition) -> list[Number]:
    figure = FIGURES.get(condition.metric)
    unit = f", {figure.measured}" if figure else ""
    found = [
        Number("threshold", f"Threshold ({condition.op}){unit}", condition.threshold, whole=False)
    ]
    if condition.baseline:
        found += [
            Number(
                "baseline.ratio",
                "Times the median of the same hour",
                condition.baseline.ratio,
                whole=False,
            ),
            Number("baseline.days", "Days that the median is of", condition.baseline.days),
        ]
    found.append(
        Number("window_seconds", "Seconds that it is measured over", condition.window_seconds)
    )
    if figure is None or figure.of_calls:
        found.append(Number("minimum", "Calls that it takes at least", condition.minimum))
    return found
