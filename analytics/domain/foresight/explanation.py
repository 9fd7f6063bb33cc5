"""Why a model says what it says: what it would say without each family of signs."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.domain.foresight.histories import History
from analytics.domain.foresight.model import Model
from analytics.domain.foresight.signs import FAMILIES, family_of

Floats = NDArray[np.float64]
_MOST: Final = 4
# Differences that are not worth a sentence.
_LEAST: Final = 0.02


def reasons_of(model: Model, history: History, moment: Floats) -> list[str]:
    """Sentences, the weightiest first, of what the probability at a moment rests on: what it would
    be if this kind of sign had not been seen within the horizon before."""
    whole = float(model.chances(history, moment)[0])
    recent = history.times > moment[0] - model.plan.horizon
    minutes = model.plan.horizon / 60
    found: list[tuple[float, str]] = []
    for number, kind in enumerate(model.plan.types):
        those = recent & (history.kinds == number)
        if not those.any():
            continue
        without = History(history.times[~those], history.kinds[~those], history.failures)
        chance = float(model.chances(without, moment)[0])
        if whole - chance >= _LEAST:
            times = len(np.unique(history.times[those]))
            found.append((chance, f"{_words(kind)} in {times} of the last {minutes:g} min; without "
                                  f"them the probability would be {chance:.0%}"))  # fmt: skip
    told = [text for _, text in sorted(found)[:_MOST]]
    if not told:
        told = [
            f"{len(np.unique(history.times[recent]))} of the last {minutes:g} min had signs; none "
            "alone decides"
        ]
    return told


def _words(kind: str) -> str:
    family = FAMILIES.get(family_of(kind))
    detail = kind.partition(":")[2]
    words = family.words if family else kind
    words = f"{words[:1].upper()}{words[1:]}"
    return f"{words} ({detail})" if detail else words
