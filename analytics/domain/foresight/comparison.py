"""A site's own history: a model learnt from its earlier part against the rules, on the later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight import features, rules
from analytics.domain.foresight.alarms import Score, score, spaced
from analytics.domain.foresight.histories import Histories, History
from analytics.domain.foresight.model import FEWEST_FAILURES, Aim, Model, fit_model
from analytics.domain.foresight.signs import family_of
from analytics.domain.foresight.trees import GROWTH, Growth, TooFew

Floats = NDArray[np.float64]
# Services may be called to look at nothing more often than once in four days each.
MOST_FALSE: Final = 0.25
AIM: Final = Aim(rules.HORIZON, rules.HORIZON, MOST_FALSE, spacing=300.0)
_LEARNT: Final = 0.7
_FEWEST_LATER: Final = 5
_MOST_REPEATS: Final = 8


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of fitting: the model where one was fitted, both scores on the held-back part
    (None where there is none), whether the model is better, and why in a sentence."""

    model: Model | None
    scores: dict[str, Score]
    used: bool
    reason: str


def histories_counted(
    rows: Iterable[tuple[str, float, str, int]],
    failures: Iterable[tuple[str, float]],
    types: tuple[str, ...] | None = None,
) -> tuple[Histories, dict[str, dict[str, tuple[Floats, Floats]]]]:
    """Histories of (service, time, kind, count), sorted by time, and beside them the exact counts
    per service and family. In histories a sign stands once more for each doubling of its count:
    its order of magnitude matters, not the number."""
    signs = sorted(rows, key=lambda row: (row[0], row[1]))
    if types is None:
        types = tuple(sorted({row[2] for row in signs}))
    numbers = {kind: number for number, kind in enumerate(types)}
    times: dict[str, list[float]] = {}
    kinds: dict[str, list[int]] = {}
    counted: dict[str, dict[str, list[tuple[float, int]]]] = {}
    for service, at, kind, count in signs:
        repeats = min(_MOST_REPEATS, max(count, 1).bit_length())
        times.setdefault(service, []).extend([at] * repeats)
        kinds.setdefault(service, []).extend([numbers.get(kind, len(types))] * repeats)
        counted.setdefault(service, {}).setdefault(family_of(kind), []).append((at, count))
    failed: dict[str, set[float]] = {}
    for service, at in failures:
        failed.setdefault(service, set()).add(at)
    entities = {
        name: History(
            np.array(times.get(name, []), dtype=np.float64),
            np.array(kinds.get(name, []), dtype=np.intp),
            np.array(sorted(failed.get(name, ())), dtype=np.float64),
        )
        for name in sorted({*times, *failed})
    }
    bounds = [float(at) for h in entities.values() for at in (*h.times, *h.failures)]
    since, until = (min(bounds), max(bounds)) if bounds else (0.0, 0.0)
    arrays = {
        name: {
            family: (
                np.array([at for at, _ in each], dtype=np.float64),
                np.array([count for _, count in each], dtype=np.float64),
            )
            for family, each in families.items()
        }
        for name, families in counted.items()
    }
    return Histories(types, entities, since, until), arrays


def compare(
    kind: str,
    histories: Histories,
    counted: Mapping[str, Mapping[str, tuple[Floats, Floats]]],
    random: np.random.Generator,
    growth: Growth = GROWTH,
) -> Comparison:
    """Fit to the earlier part, score on the later beside the rules, and if better fit to all."""
    total = histories.failures
    if total < FEWEST_FAILURES:
        return _rules_stay(f"needs {FEWEST_FAILURES} failures to learn from, has {total}")
    border = _border(histories)
    earlier = histories.cut(histories.since, border)
    later = histories.cut(border, histories.until + 1)
    if later.failures < _FEWEST_LATER:
        return _rules_stay(
            f"needs {_FEWEST_LATER} failures in the held-back last part of the history, has "
            f"{later.failures}"
        )
    try:
        model = (
            fit_model(earlier, AIM, random, growth=growth)
            if earlier.failures >= FEWEST_FAILURES
            else None
        )
        if model is None:
            return _rules_stay(
                f"needs {FEWEST_FAILURES} failures before the held-back part, has "
                f"{earlier.failures}"
            )
    except TooFew as error:
        return _rules_stay(str(error))
    scores = {
        "model": _scored(_model_moments(model, histories, border), later),
        "rules": _scored(_rule_moments(kind, histories, counted, border), later),
    }
    used = _better(scores["model"], scores["rules"])
    reason = _reason(scores, used=used, earlier=earlier.failures, later=later.failures)
    if used:
        model = fit_model(histories, AIM, random, growth=growth)
    return Comparison(model, scores, used, reason)


def _border(histories: Histories) -> float:
    """Where the last three tenths of the failures begin."""
    failures = np.sort(np.concatenate([h.failures for h in histories.entities.values()]))
    place = min(int(len(failures) * _LEARNT), len(failures) - 1)
    # Well before the failure itself: its signs belong to the same part.
    return float(failures[place]) - 2 * AIM.horizon


def _model_moments(model: Model, histories: Histories, border: float) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for name, history in features.renumbered(histories, model.plan.types).entities.items():
        moments = _moments(history, border)
        if len(moments):
            found[name] = moments[model.chances(history, moments) >= model.threshold]
    return found


def _moments(history: History, border: float) -> Floats:
    moments = AIM.moments(history)
    return moments[moments >= border]


def _rule_moments(
    kind: str,
    histories: Histories,
    counted: Mapping[str, Mapping[str, tuple[Floats, Floats]]],
    border: float,
) -> dict[str, Floats]:
    rule = rules.rule_of(kind)
    found: dict[str, Floats] = {}
    for name, history in histories.entities.items():
        moments = _moments(history, border)
        seen = {
            family: rules.seen_at(times, counts, moments, family)
            for family, (times, counts) in counted.get(name, {}).items()
        }
        found[name] = moments[rules.says(rule, seen, len(moments))]
    return found


def _scored(moments: dict[str, Floats], later: Histories) -> Score:
    given = {name: at[spaced(at, AIM.quiet)] for name, at in moments.items()}
    return score(given, later, AIM.horizon)


def _better(model: Score, others: Score) -> bool:
    """More of what matters, and not more false alarms than are borne, or than the rules give."""
    bearable = max(AIM.most_false, others.false_per_day)
    return model.f1 > others.f1 and model.false_per_day <= bearable


def _reason(scores: Mapping[str, Score], *, used: bool, earlier: int, later: int) -> str:
    model, others = scores["model"], scores["rules"]
    told = (
        f"F1 {model.f1:.2f} and {model.false_per_day:.2f} false alarms per service and day against "
        f"{others.f1:.2f} and {others.false_per_day:.2f} of the rules, on {later} failures held "
        f"back; learnt from {earlier} before them"
    )
    return f"The model is better: {told}." if used else f"The rules stay: the model had {told}."


def _rules_stay(why: str) -> Comparison:
    return Comparison(None, {}, False, f"The rules stay: a model {why}.")
