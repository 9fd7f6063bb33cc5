"""Conditions in words, for screens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from alerting.domain.rules.conditions import (
    BurnCondition,
    Condition,
    EventCondition,
    FigureCondition,
    SilentCondition,
    Where,
    quiet_for,
)
from alerting.domain.rules.measures import FIGURES
from resilience_site.core.formatting import duration, three_digits


def condition_words(condition: Condition) -> list[str]:
    """What must be so for the condition to hold, and when it ends: one sentence each."""
    match condition:
        case EventCondition():
            return _event(condition)
        case SilentCondition():
            return [
                f"Nothing is heard of {_entries(condition.topic, condition.kinds, condition.where)}"
                f" for {duration(condition.silent_seconds)}, which was heard before"
                f"{_by(condition.labels)}.",
                "It ends with the next one"
                + (f", or by {_any(condition.resolved_by.kinds)}" if condition.resolved_by else "")
                + f", or once nothing has come for {duration(condition.forget_seconds)} more.",
            ]
        case FigureCondition():
            return _figure(condition)
        case BurnCondition():
            return [
                "The error budget of an objective burns at the rate of the row of "
                f"{duration(condition.long_seconds)} of the table, over both of its windows.",
                "It ends once one of them is below.",
            ]


def _event(condition: EventCondition) -> list[str]:
    times = (
        "once"
        if condition.count == 1
        else f"{condition.count:,} times within {duration(condition.within_seconds)}"
    )
    ends = []
    if condition.resolved_by:
        ending = condition.resolved_by
        ends.append(f"by {_any(ending.kinds)}{_where(ending.where)}")
    quiet = quiet_for(condition)
    if quiet is not None:
        ends.append(f"{duration(quiet.total_seconds())} after the last one")
    members = f" It is over for each {condition.members} by itself." if condition.members else ""
    return [
        f"{_entries(condition.topic, condition.kinds, condition.where)} comes {times}"
        f"{_by(condition.labels)}.",
        f"It ends {' or '.join(ends)}.{members}",
    ]


def _figure(condition: FigureCondition) -> list[str]:
    figure = FIGURES[condition.metric]
    whose = "of the whole site"
    if condition.each == "service":
        whose = f"of {_any(condition.services)}" if condition.services else "of a service"
    least = f", with at least {condition.minimum:,} calls" if condition.minimum else ""
    told = [
        f"{figure.title} {whose}, over the last {duration(condition.window_seconds)}, is "
        f"{condition.op} {three_digits(condition.threshold)} {figure.unit}{least}."
    ]
    if condition.baseline:
        told.append(
            f"It is also at least {three_digits(condition.baseline.ratio)} times the median of the "
            f"same hour of the {condition.baseline.days} days before."
        )
    return [*told, "It is looked at once for each minute, 2 min after that minute's end."]


def _entries(topic: str, kinds: Sequence[str], where: Iterable[Where]) -> str:
    return f"{_any(kinds)} ({topic}{_where(where)})"


def _where(where: Iterable[Where]) -> str:
    told = [f"{each.field} {each.op} {_value(each.value)}" for each in where]
    return f" where {' and '.join(told)}" if told else ""


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _any(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _by(labels: dict[str, str]) -> str:
    return f", for each {' and '.join(['service', *labels])}"
