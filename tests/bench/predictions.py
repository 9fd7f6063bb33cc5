"""Failures foretold on generated machines, beside two rules and another's boosted trees on the
very columns that ours see.

Each scene of `failing_machines` is drawn with so few machines that all of it ends within minutes;
odd machines are learnt from, even ones scored. The anchor (scikit-learn's histogram boosting, its defaults) goes through the same
folds, calibration and threshold, so that only the trees differ.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight import features
from analytics.domain.foresight.alarms import Score, score, spaced
from analytics.domain.foresight.evaluation import alarms_given, moments_of_rule
from analytics.domain.foresight.histories import Histories, History, histories_of
from analytics.domain.foresight.model import Aim, held_back_odds, judge, table_of
from tests.bench.failing_machines import SCENES, Scene, generate, smaller

Floats = NDArray[np.float64]
AIM = Aim(48 * 3600.0, 24 * 3600.0)
SEEDS = (1,)
MACHINES, DAYS = 60, 365
LEAST_F1, MOST_FALSE = 0.80, 0.01
RULES: dict[str, Callable[[History], Floats]] = {
    "every error is an alarm": lambda history: history.moments,
    "two types within an hour": lambda history: moments_of_rule(history, AIM),
}
WAYS = (*RULES, "HistGradientBoosting, same columns", "ours", "ours, their failures not known")


def measure(scenes: tuple[Scene, ...] = SCENES, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    """Scores of each way in each scene and seed."""
    found: list[dict[str, Any]] = []
    for scene in (smaller(each, MACHINES, DAYS) for each in scenes):
        for seed in seeds:
            print(f"  {scene.name}: seed {seed}", flush=True)
            ways = _ways(scene, seed)
            found.append(
                {
                    "scene": scene.name,
                    "seed": seed,
                    "ways": {name: each.as_json() for name, (each, _) in ways.items()},
                    "seconds": {name: seconds for name, (_, seconds) in ways.items()},
                }
            )
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "runs": found}


def _ways(scene: Scene, seed: int) -> dict[str, tuple[Score, float]]:
    machines = generate(scene, seed)
    histories = histories_of(machines.events, machines.failures, machines.entities)
    training = [name for name in machines.entities if int(name) % 2]
    scored = histories.part(name for name in machines.entities if not int(name) % 2)
    without = [row for row in machines.failures if int(row[0]) % 2]
    blind = histories_of(machines.events, without, machines.entities)
    ways: dict[str, tuple[Score, float]] = {}
    for name, rule in RULES.items():
        ways[name] = _timed(
            lambda rule=rule: {n: rule(h) for n, h in scored.entities.items()}, scored
        )
    ways[WAYS[2]] = _timed(lambda: _anchor(histories, training, scored), scored)
    ways[WAYS[3]] = _timed(lambda: _ours(histories, training), scored)
    ways[WAYS[4]] = _timed(lambda: _ours(blind, training), scored)
    return ways


def _timed(alarms: Callable[[], dict[str, Floats]], scored: Histories) -> tuple[Score, float]:
    began = time.perf_counter()
    given = {name: at[spaced(at, AIM.quiet)] for name, at in alarms().items()}
    seconds = time.perf_counter() - began
    return score(given, scored, AIM.horizon), seconds


def _ours(histories: Histories, training: list[str]) -> dict[str, Floats]:
    found: dict[str, list[float]] = {}
    for alarm in alarms_given(histories, training, AIM).alarms:
        found.setdefault(alarm.entity, []).append(alarm.at)
    return {name: np.array(at) for name, at in found.items()}


def _anchor(histories: Histories, training: list[str], scored: Histories) -> dict[str, Floats]:
    random = np.random.default_rng(1)
    known = histories.part(training)
    table = table_of(known, AIM, random, failures_known=True)
    odds = held_back_odds(table, _sklearn, random)
    slope, shift, threshold, _ = judge(table, odds, known, AIM)
    others = features.renumbered(scored, table.plan.types)
    found: dict[str, Floats] = {}
    rows = [features.rows(table.plan, h, h.moments) for h in others.entities.values()]
    asked = _sklearn(
        table.rows[table.known], table.answers[table.known], np.concatenate(rows), random
    )
    chances = 1 / (1 + np.exp(-(slope * asked + shift)))
    at = 0
    for name, history in others.entities.items():
        moments = history.moments
        found[name] = moments[chances[at : at + len(moments)] >= threshold]
        at += len(moments)
    return found


def _sklearn(
    rows: Floats, answers: NDArray[np.bool_], asked: Floats, random: np.random.Generator
) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    # It knows no infinity: what never happened is longer ago than all else.
    never = 1e12
    model = HistGradientBoostingClassifier(random_state=0)
    # Its threads wait for each other in circles where the machine has other work as well.
    with threadpool_limits(1):
        model.fit(np.minimum(rows, never), answers)
        found: Floats = np.asarray(model.decision_function(np.minimum(asked, never)))
    return found


def table(figures: dict[str, Any]) -> str:
    """Means over seeds per scene, the worst of all, and the aim."""
    lines = [f"  {MACHINES} machines over {DAYS} days each, half of them learnt from"]
    scenes = list(dict.fromkeys(run["scene"] for run in figures["runs"]))
    for scene in scenes:
        lines.append(f"  {scene}")
        runs = [run for run in figures["runs"] if run["scene"] == scene]
        for way in WAYS:
            each = [run["ways"][way] for run in runs]
            mean = {
                name: statistics.mean(one[name] or 0.0 for one in each)
                for name in ("f1", "precision", "recall", "false_per_day", "lead_seconds")
            }
            lines.append(
                f"    {way:<36} F1 {mean['f1']:.3f}  P {mean['precision']:.3f}  "
                f"R {mean['recall']:.3f}  false/entity-day {mean['false_per_day']:.4f}  "
                f"lead {mean['lead_seconds'] / 3600:.0f} h  "
                f"{statistics.mean(run['seconds'][way] for run in runs):.1f} s"
            )
    for way in WAYS[2:]:
        worst = min((run["ways"][way]["f1"], run["scene"], run["seed"]) for run in figures["runs"])
        most = max(run["ways"][way]["false_per_day"] for run in figures["runs"])
        lines.append(
            f"  {way}: worst F1 {worst[0]:.3f} (aim {LEAST_F1}), "
            f"most false/entity-day {most:.4f} (aim {MOST_FALSE})"
        )
    return "\n".join(lines)
