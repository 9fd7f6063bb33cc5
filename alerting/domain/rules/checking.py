"""Whether a rule can be evaluated: its names exist, its labels have values, it can end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from alerting.domain.rules.catalogue import (
    SAMPLES,
    Sample,
    kinds_of,
    samples_of,
)
from alerting.domain.rules.conditions import (
    BurnCondition,
    Condition,
    EventCondition,
    FigureCondition,
    OfJournal,
    SilentCondition,
    Where,
    Wrong,
)
from alerting.domain.rules.facts import event_facts
from alerting.domain.rules.fields import PLAIN, Entry, labels_of
from alerting.domain.rules.measures import FIGURES, Figure
from alerting.domain.rules.windows import meets

# What the site itself puts among the labels.
OWN_LABELS: Final = ("alertname", "severity")
_EXAMPLE_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)


def condition_check(condition: Condition) -> None:
    """Raise `Wrong` with everything about a condition that cannot be."""
    errors: list[tuple[str, str]] = []
    if isinstance(condition, FigureCondition):
        errors = _figure(condition)
    elif isinstance(condition, EventCondition | SilentCondition):
        errors = _journal(condition)
    if errors:
        raise Wrong(errors)


def examples(condition: Condition) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Labels and facts as alerts of the condition may have them, for trying texts on."""
    if isinstance(condition, EventCondition | SilentCondition):
        found = []
        for kind in condition.kinds:
            for sample in samples_of(condition.topic, kind):
                entry = _entry(condition.topic, kind, sample)
                facts = {**event_facts(entry, condition_count(condition), None)}
                facts |= {"window_seconds": 300, "members": [], "last_heard": str(entry.at)}
                found.append((labels_of(entry, condition.labels), facts))
        return found
    service = {"service": "planner"}
    if isinstance(condition, BurnCondition):
        return [({**service, "slo": "…", "kind": "availability"}, dict(BURN_FACTS))]
    return [(service if condition.each == "service" else {}, dict(FIGURE_FACTS))]


# What alerts over figures and burn rates say; `alerting.selectors.rule_figures` fills it.
FIGURE_FACTS: Final[Mapping[str, Any]] = {
    "metric": "error_rate",
    "title": "Errors per call",
    "unit": "1",
    "value": 0.12,
    "threshold": 0.05,
    "count": 500,
    "median": 3.0,
    "window_seconds": 300,
    "culprit": "planner",
    "link": "/trends?service=planner",
}
BURN_FACTS: Final[Mapping[str, Any]] = {
    "slo": "…",
    "kind": "availability",
    "objective": 0.999,
    "value": 20.0,
    "threshold": 14.4,
    "bad": 30,
    "total": 1500,
    "window_seconds": 3600,
    "short_seconds": 300,
    "text": "At 14.4 or faster.",
    "link": "/slos/…",
}


def condition_count(condition: OfJournal) -> int:
    return condition.count if isinstance(condition, EventCondition) else 1


def _figure(condition: FigureCondition) -> list[tuple[str, str]]:
    figure = FIGURES.get(condition.metric)
    if figure is None:
        known = ", ".join(FIGURES)
        text = f"There is no figure {condition.metric[:60]!r}; choose one of {known}."
        return [("condition.metric", text)]
    errors = []
    if condition.minimum and not figure.of_calls:
        text = f"Only figures per call have a least number of calls; {condition.metric} is none."
        errors.append(("condition.minimum", text))
    if condition.each == "site" and condition.services:
        text = "A condition of the whole site names no services."
        errors.append(("condition.services", text))
    if condition.baseline and condition.op in ("<", "<="):
        text = "A multiple of the median is a least value: compare with > or >=."
        errors.append(("condition.baseline", text))
    errors += _always_or_never(condition, figure)
    if condition.metric == "latency_p95" and condition.each == "site":
        errors.append(("condition.each", "Latency is compared service by service."))
    return errors


def _always_or_never(condition: FigureCondition, figure: Figure) -> list[tuple[str, str]]:
    """What is wrong with a threshold that every value meets, or none."""
    op, threshold = condition.op, condition.threshold
    by_least, by_most = meets(op, 0.0, threshold), meets(op, figure.most, threshold)
    # A multiple of the median may be more than the threshold.
    if by_least != by_most or (by_least and condition.baseline):
        return []
    compared = f"{condition.metric} {op} {threshold:g}"
    range_ = "from 0 on" if figure.most == math.inf else f"from 0 to {figure.most:g}"
    text = f"{compared} {'always' if by_least else 'never'} holds: its values are {range_}."
    if figure.most == 1.0 < threshold <= 100:
        text += f" It is a share: {threshold:g} % is {threshold / 100:g}."
    return [("condition.threshold", text)]


def _journal(condition: OfJournal) -> list[tuple[str, str]]:
    if condition.topic not in SAMPLES:
        known = ", ".join(SAMPLES)
        text = f"There is no topic {condition.topic[:60]!r} to watch; choose one of {known}."
        return [("condition.topic", text)]
    errors = _kinds(condition.topic, condition.kinds, "condition.kinds")
    own = _samples(condition.topic, condition.kinds)
    errors += _wheres(condition.where, own, "condition.where")
    for name, path in condition.labels.items():
        where = f"condition.labels.{name}"
        if name in OWN_LABELS:
            errors.append((where, f"The site itself sets the label {name}."))
        elif not _known(path, own):
            errors.append((where, f"These entries have no field {path}, so there is no value."))
    if condition.resolved_by:
        ending = condition.resolved_by
        errors += _kinds(condition.topic, ending.kinds, "condition.resolved_by.kinds")
        theirs = _samples(condition.topic, ending.kinds)
        errors += _wheres(ending.where, theirs, "condition.resolved_by.where")
        for name, path in condition.labels.items():
            if not _known(path, theirs) and _known(path, own):
                text = f"These entries have no field {path}, so they end no alert with {name}."
                errors.append(("condition.resolved_by.kinds", text))
    members = condition.members if isinstance(condition, EventCondition) else None
    if members and not _known(members, own):
        errors.append(("condition.members", f"These entries have no field {members}."))
    return errors


def _kinds(topic: str, kinds: Sequence[str], where: str) -> list[tuple[str, str]]:
    known = kinds_of(topic)
    return [
        (where, f"Topic {topic} has no kind {kind[:60]!r}; it has {', '.join(known)}.")
        for kind in kinds
        if kind not in known
    ]


def _wheres(
    wheres: Sequence[Where], samples: Sequence[Sample], where: str
) -> list[tuple[str, str]]:
    errors = []
    for number, each in enumerate(wheres):
        if samples and not _known(each.field, samples):
            text = f"These entries have no field {each.field}."
            errors.append((f"{where}.{number}.field", text))
        if (each.op in ("in", "not in")) != isinstance(each.value, list):
            text = "Several values go with in and not in, one value with the others."
            errors.append((f"{where}.{number}.value", text))
    return errors


def _samples(topic: str, kinds: Sequence[str]) -> list[Sample]:
    return [sample for kind in kinds for sample in samples_of(topic, kind)]


def _known(path: str, samples: Sequence[Sample]) -> bool:
    name, *rest = path.split(".")
    if name != "payload":
        return name in PLAIN and not rest
    return any(_holds(sample.payload, rest) for sample in samples)


def _holds(payload: Any, rest: Sequence[str]) -> bool:
    found = payload
    for part in rest:
        if not isinstance(found, Mapping) or part not in found:
            return False
        found = found[part]
    return bool(rest)


def _entry(topic: str, kind: str, sample: Sample) -> Entry:
    return Entry(
        1, _EXAMPLE_AT, topic, kind, sample.key, sample.state, sample.service, sample.payload
    )
