"""The order in which steps run."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from healing.domain.definition import Step


class Cycle(ValueError):
    """Steps that wait for each other, each for the next one and the last for the first."""

    def __init__(self, steps: list[str]) -> None:
        super().__init__(" → ".join(steps))
        self.steps = steps


def steps_ordered(steps: Sequence[Step]) -> list[Step]:
    """Steps so that each comes after those it waits for, otherwise as they stand. A step that does
    not say what it waits for waits for the one above it. Raises `Cycle`."""
    before: dict[str, list[str]] = {}
    for n, step in enumerate(steps):
        above = [steps[n - 1].id] if n else []
        before[step.id] = above if step.after is None else list(step.after)
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        # It names what comes before first, and the first step again at the end.
        raise Cycle(found[:0:-1]) from None
    place = {step.id: n for n, step in enumerate(steps)}
    ordered: list[Step] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
        first = ready.pop(0)
        ordered.append(steps[place[first]])
        sorter.done(first)
    return ordered
