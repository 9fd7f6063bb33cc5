"""A model that foretells failures: fitted, calibrated and given its threshold on held-back parts.

Every entity is held back once, with others: what the trees say of entities that they were not
fitted to makes probabilities honest and chooses the threshold. Where there are few entities,
stretches of time are held back instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight import features
from analytics.domain.foresight.alarms import Score, score, spaced
from analytics.domain.foresight.features import Plan
from analytics.domain.foresight.histories import Histories, History
from analytics.domain.foresight.recurrence import Recurrence, recurrence_of
from analytics.domain.foresight.trees import GROWTH, Growth, TooFew, Trees, fit

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]
# Log odds of rows of a second table by what a first one and its answers teach.
Learner = Callable[[Floats, Flags, Floats, np.random.Generator], Floats]

# With fewer failures, what is learnt is chance.
FEWEST_FAILURES: Final = 20
_FOLDS: Final = 5
_FEWEST_ENTITIES: Final = 2 * _FOLDS
_MOST_ROWS: Final = 15_000
# More moments than this teach little more, and take memory.
_MOST_MOMENTS: Final = 40_000
_THRESHOLDS: Final = 80
_NO_RHYTHM: Final = Recurrence(np.zeros(0), np.zeros(0), 0.0)


@dataclass(frozen=True)
class Aim:
    """What is foretold, and how many false alarms are borne: seconds, and per entity and day.
    `spacing` is the least time between moments that are learnt from: minutes of a busy service
    are much alike."""

    horizon: float
    quiet: float
    most_false: float = 0.01
    spacing: float = 0.0

    def moments(self, history: History) -> Floats:
        """The moments of a history that are looked at."""
        moments = history.moments
        return moments[spaced(moments, self.spacing)] if self.spacing else moments


@dataclass(frozen=True, eq=False)
class Model:
    """Trees, the line that makes their log odds honest, and the probability from which an alarm is
    given. `held_back` is the score on parts that the trees were not fitted to."""

    plan: Plan
    trees: Trees
    slope: float
    shift: float
    threshold: float
    held_back: Score

    def chances(self, history: History, moments: Floats) -> Floats:
        """Probability of a failure within the horizon after each moment; the numbers of types are
        those of the plan (`features.renumbered`)."""
        odds = self.trees.log_odds(features.rows(self.plan, history, moments))
        return _sigmoid(self.slope * odds + self.shift)

    def as_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan.as_json(),
            "trees": self.trees.as_json(),
            "slope": self.slope,
            "shift": self.shift,
            "threshold": self.threshold,
            "held_back": self.held_back.as_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Model:
        names = Score.__dataclass_fields__
        return cls(
            Plan.from_json(data["plan"]),
            Trees.from_json(data["trees"]),
            float(data["slope"]),
            float(data["shift"]),
            float(data["threshold"]),
            Score(**{name: data["held_back"][name] for name in names}),
        )


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of all moments of some histories, entity by entity; `known` is false for moments whose
    horizon reaches past the end of what was watched; `fold` says with whom each is held back."""

    plan: Plan
    names: tuple[str, ...]
    owner: Codes
    moments: Floats
    rows: Floats
    answers: Flags
    known: Flags
    fold: Codes


def table_of(
    histories: Histories, aim: Aim, random: np.random.Generator, *, failures_known: bool
) -> Table:
    """Rows to learn from. The rhythm of an entity's failures is taken from entities that are held
    back at other times, or none would be as regular as itself."""
    plan = features.plan_of(histories, aim.horizon, failures_known=failures_known)
    by_entity = len(histories.entities) >= _FEWEST_ENTITIES
    if not by_entity:
        plan = replace(plan, recurrence=_NO_RHYTHM)
    histories = features.renumbered(histories, plan.types)
    names = tuple(histories.entities)
    folds = random.permutation(np.arange(len(names)) % _FOLDS)
    plans = [_without(plan, histories, names, folds, fold) for fold in range(_FOLDS)]
    parts: list[tuple[Codes, Floats, Floats, Flags, Codes]] = []
    for number, name in enumerate(names):
        history = histories.entities[name]
        moments = aim.moments(history)
        fold = np.full(len(moments), folds[number])
        if not by_entity:
            share = (moments - histories.since) / max(histories.until - histories.since, 1.0)
            fold = np.minimum((share * _FOLDS).astype(np.intp), _FOLDS - 1)
        own = plans[folds[number]] if by_entity else plan
        parts.append(
            (
                np.full(len(moments), number),
                moments,
                features.rows(own, history, moments),
                features.answers(history, moments, aim.horizon),
                fold,
            )
        )
    owner, moments, rows, answers, fold = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    known = moments + aim.horizon <= histories.until
    return Table(plan, names, owner, moments, rows, answers, known | answers, fold)


def fit_model(
    histories: Histories,
    aim: Aim,
    random: np.random.Generator,
    *,
    failures_known: bool = True,
    growth: Growth = GROWTH,
) -> Model:
    """Learn from histories; raises TooFew where they hold too few failures that events went
    before. `failures_known` says whether past failures will be known when it is asked."""
    if histories.failures < FEWEST_FAILURES:
        raise TooFew(f"needs {FEWEST_FAILURES} failures to learn from, has {histories.failures}")
    histories = _enough(histories, aim, random)
    table = table_of(histories, aim, random, failures_known=failures_known)
    preceded = int(table.answers.sum())
    if preceded < FEWEST_FAILURES or preceded == len(table.answers):
        raise TooFew(
            f"needs {FEWEST_FAILURES} moments with events shortly before failures and some "
            f"without, has {preceded} of {len(table.answers)}"
        )
    odds = held_back_odds(table, trees_learner(growth), random)
    slope, shift, threshold, result = judge(table, odds, histories, aim)
    chosen = _some(np.flatnonzero(table.known), table.answers, random)
    trees = fit(table.rows[chosen], table.answers[chosen], random, growth)
    return Model(table.plan, trees, slope, shift, threshold, result)


def trees_learner(growth: Growth = GROWTH) -> Learner:
    """Our own trees, as a learner."""

    def learn(rows: Floats, answers: Flags, asked: Floats, random: np.random.Generator) -> Floats:
        return fit(rows, answers, random, growth).log_odds(asked)

    return learn


def held_back_odds(table: Table, learner: Learner, random: np.random.Generator) -> Floats:
    """Log odds of every row by what the rows of other folds teach."""
    odds = np.zeros(len(table.rows))
    for fold in range(_FOLDS):
        out = table.fold == fold
        chosen = _some(np.flatnonzero(~out & table.known), table.answers, random)
        answers = table.answers[chosen]
        if not out.any():
            continue
        if not 0 < answers.sum() < len(answers):
            odds[out] = -10.0
            continue
        odds[out] = learner(table.rows[chosen], answers, table.rows[out], random)
    return odds


def judge(
    table: Table, odds: Floats, histories: Histories, aim: Aim
) -> tuple[float, float, float, Score]:
    """Slope and shift that make held-back odds honest, the best threshold, and its score."""
    slope, shift = calibrated(odds[table.known], table.answers[table.known])
    chances = _sigmoid(slope * odds + shift)
    candidates = np.unique(np.quantile(chances, np.linspace(0.3, 1, _THRESHOLDS)))
    scores = [
        score(alarms_of(table, chances, float(at), aim), histories, aim.horizon)
        for at in candidates
    ]
    good = np.array([s.f1 if s.false_per_day <= aim.most_false else 0.0 for s in scores])
    # A peak of one candidate is chance: its neighbours count too.
    smooth = np.convolve(np.pad(good, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    smooth[good == 0] = 0.0
    best = int(smooth.argmax())
    if not smooth[best]:
        best = len(candidates) - 1
    return slope, shift, float(candidates[best]), scores[best]


def alarms_of(table: Table, chances: Floats, threshold: float, aim: Aim) -> dict[str, Floats]:
    """Times of alarms by entity."""
    found: dict[str, Floats] = {}
    high = chances >= threshold
    for number in np.unique(table.owner[high]).tolist():
        times = table.moments[high & (table.owner == number)]
        found[table.names[number]] = times[spaced(times, aim.quiet)]
    return found


def calibrated(odds: Floats, answers: Flags) -> tuple[float, float]:
    """The line by which log odds give probabilities that come true (Platt's, by Newton's steps,
    with his two added observations against certainty)."""
    yes, no = float(answers.sum()), float((~answers).sum())
    target = np.where(answers, (yes + 1) / (yes + 2), 1 / (no + 2))
    design = np.stack([odds, np.ones(len(odds))], axis=1)
    # From the share of all: there Newton's steps do not overshoot, as they do from certainty.
    line = np.array([0.0, float(np.log((yes + 1) / (no + 1)))])
    for _ in range(30):
        chance = _sigmoid(design @ line)
        gradient = design.T @ (chance - target)
        weight = np.maximum(chance * (1 - chance), 1e-6)
        step = np.linalg.solve((design * weight[:, None]).T @ design + 1e-6 * np.eye(2), gradient)
        line = line - step
        if np.abs(step).max() < 1e-8:
            break
    # Odds that say the contrary on what was held back say nothing.
    return max(float(line[0]), 0.0), float(line[1])


def _enough(histories: Histories, aim: Aim, random: np.random.Generator) -> Histories:
    """As much of long histories as is learnt from: some of many entities, else the newest part."""
    counts = {name: len(aim.moments(h)) for name, h in histories.entities.items()}
    if sum(counts.values()) <= _MOST_MOMENTS:
        return histories
    if len(counts) >= _FEWEST_ENTITIES:
        chosen: list[str] = []
        for name in random.permutation(sorted(counts)).tolist():
            part = histories.part(chosen)
            enough = len(chosen) >= _FEWEST_ENTITIES and part.failures >= 2 * FEWEST_FAILURES
            if enough and sum(counts[each] for each in [*chosen, name]) > _MOST_MOMENTS:
                break
            chosen.append(name)
        return histories.part(chosen)
    while sum(len(aim.moments(h)) for h in histories.entities.values()) > _MOST_MOMENTS:
        newer = histories.cut((histories.since + histories.until) / 2, histories.until)
        if newer.failures < 2 * FEWEST_FAILURES:
            break
        histories = newer
    return histories


def _without(
    plan: Plan, histories: Histories, names: tuple[str, ...], folds: Codes, fold: int
) -> Plan:
    others = [
        histories.entities[name].failures
        for name, own in zip(names, folds, strict=True)
        if own != fold
    ]
    return replace(plan, recurrence=recurrence_of(others, histories.since, histories.until))


def _some(places: Codes, answers: Flags, random: np.random.Generator) -> Codes:
    """At most so many rows that fitting stays quick: those with the answer yes first."""
    if len(places) <= _MOST_ROWS:
        return places
    yes = places[answers[places]]
    yes = random.permutation(yes)[: _MOST_ROWS // 2]
    no = random.permutation(places[~answers[places]])[: _MOST_ROWS - len(yes)]
    return np.sort(np.concatenate([yes, no]))


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -50, 50))), dtype=np.float64)
