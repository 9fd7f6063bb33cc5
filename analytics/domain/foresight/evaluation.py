"""Learn from some entities, give alarms for the others: what the door `evaluate_prediction` does."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight import features
from analytics.domain.foresight.alarms import score, spaced
from analytics.domain.foresight.histories import Histories, History
from analytics.domain.foresight.model import Aim, Model, fit_model
from analytics.domain.foresight.trees import TooFew

Floats = NDArray[np.float64]
_SEED: Final = 20_260
# What is believed of the rule before any of its alarms were scored: three of five come true.
_RULE_HITS: Final = 3
_RULE_ALARMS: Final = 5


@dataclass(frozen=True)
class Alarm:
    entity: str
    at: float
    probability: float


@dataclass(frozen=True)
class Evaluation:
    """Alarms in order of time, and in sentences what they were made by."""

    alarms: list[Alarm]
    notes: list[str]


def alarms_given(histories: Histories, training: Collection[str], aim: Aim) -> Evaluation:
    """Alarms for all entities that are not among those to train on.

    Failures of the others are used as a site would know them: those strictly before a moment are
    part of its past. Where none is given, the model is fitted to do without.
    """
    known = histories.part(training)
    others = histories.part(name for name in histories.entities if name not in set(training))
    notes: list[str] = []
    failures_known = others.failures > 0
    if not failures_known and others.entities:
        notes.append("No failures of the scored entities are given; their past is not used.")
    try:
        model = fit_model(known, aim, np.random.default_rng(_SEED), failures_known=failures_known)
    except TooFew as error:
        notes.append(
            f"Safe rule instead of a model, which {error}: two types of events within "
            f"{aim.horizon / 48 / 60:g} min."
        )
        return Evaluation(_by_rule(known, others, aim), notes)
    held = model.held_back
    notes.append(
        f"A model of {known.failures} failures of {len(known.entities)} entities; on entities held "
        f"back: {held.hits} of {held.alarms} alarms right, {held.foreseen} of {held.failures} "
        f"failures foreseen, {held.false_per_day:.4f} false alarms per entity and day."
    )
    return Evaluation(_by_model(model, others, aim), notes)


def moments_of_rule(history: History, aim: Aim, distinct: int = 2) -> Floats:
    """When so many types of events had come within a 48th of the horizon."""
    plan_types = int(history.kinds.max(initial=0)) + 1
    moments = history.moments
    window = aim.horizon / 48
    types = np.zeros(len(moments))
    for kind in range(plan_types):
        times = history.times[history.kinds == kind]
        until = np.searchsorted(times, moments, side="right")
        types += until > np.searchsorted(times, moments - window, side="left")
    return moments[types >= distinct]


def _by_rule(known: Histories, others: Histories, aim: Aim) -> list[Alarm]:
    own = {name: _spaced(moments_of_rule(h, aim), aim) for name, h in known.entities.items()}
    past = score(own, known, aim.horizon)
    probability = (past.hits + _RULE_HITS) / (past.alarms + _RULE_ALARMS)
    return _ordered(
        Alarm(name, at, probability)
        for name, history in others.entities.items()
        for at in _spaced(moments_of_rule(history, aim), aim).tolist()
    )


def _by_model(model: Model, others: Histories, aim: Aim) -> list[Alarm]:
    found: list[Alarm] = []
    others = features.renumbered(others, model.plan.types)
    for name, history in others.entities.items():
        moments = history.moments
        chances = model.chances(history, moments)
        high = chances >= model.threshold
        moments, chances = moments[high], chances[high]
        kept = spaced(moments, aim.quiet)
        pairs = zip(moments[kept].tolist(), chances[kept].tolist(), strict=True)
        found.extend(Alarm(name, at, chance) for at, chance in pairs)
    return _ordered(found)


def _spaced(moments: Floats, aim: Aim) -> Floats:
    return moments[spaced(moments, aim.quiet)]


def _ordered(alarms: Iterable[Alarm]) -> list[Alarm]:
    return sorted(alarms, key=lambda alarm: (alarm.at, alarm.entity))
