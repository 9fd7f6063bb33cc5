"""Celery: relieve a queue by letting its workers run more tasks at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healing.actions.base import ActionFailed, Context, Done, action
from healing.actions.fleet import ALL, Fleet, FleetAction, size
from health.checks.options import require_range


@dataclass(frozen=True)
class PoolGrowParameters:
    """Each pool grows by `by` processes, to at most `most`. `worker` is one, all or a name."""

    broker_url: str
    by: int = 1
    most: int = 32
    worker: str = ALL
    control_exchange: str = "celery"
    reply_seconds: float = 1.0


@action("celery_pool_grow", "Grow pools of Celery workers")
class CeleryPoolGrow(FleetAction[PoolGrowParameters]):
    """Undone, the pools shrink by what they have grown."""

    Parameters = PoolGrowParameters
    undoes_itself = True
    repeatable = True

    def validate(self, parameters: PoolGrowParameters) -> None:
        super().validate(parameters)
        require_range("by", parameters.by, 1, 1000)
        require_range("most", parameters.most, 1, 1000)

    def effect_on(
        self, members: Mapping[str, Any], parameters: PoolGrowParameters, context: Context
    ) -> str:
        sizes = {name: size(stats) for name, stats in members.items()}
        grown = {name: by for name, by in _grown(sizes, parameters).items() if by}
        if not grown:
            return f"Grows no pool: all have {parameters.most} processes or more"
        words = (f"{name} from {sizes[name]} to {sizes[name] + by}" for name, by in grown.items())
        return f"Grows the pool of {', '.join(words)}"

    def observe(self, parameters: PoolGrowParameters, context: Context) -> dict[str, Any]:
        return {"sizes": _sizes(Fleet(parameters, context))}

    def act(self, parameters: PoolGrowParameters, context: Context) -> Done:
        fleet, before = Fleet(parameters, context), context.before["sizes"]
        grown = {name: by for name, by in _grown(before, parameters).items() if by}
        if not grown:
            return Done(f"All pools have {parameters.most} processes or more")
        lines: list[str] = []
        now = _sizes(fleet)
        for name, by in grown.items():
            # A further attempt does what is left of the first.
            left = before[name] + by - now.get(name, before[name])
            if left > 0:
                lines += fleet.done("pool_grow", [name], n=left)
        while not self.finished(parameters, context):
            if not fleet.wait():
                raise ActionFailed("The pools have not grown in time", output="\n".join(lines))
        return Done("\n".join(lines), {"grown": grown})

    def finished(self, parameters: PoolGrowParameters, context: Context) -> bool | None:
        before, now = context.before["sizes"], _sizes(Fleet(parameters, context))
        grown = _grown(before, parameters)
        if not set(before) <= set(now):
            return None
        return all(now[name] >= was + grown[name] for name, was in before.items())

    def undo(self, parameters: PoolGrowParameters, context: Context) -> Done:
        fleet, before = Fleet(parameters, context), context.before["sizes"]
        lines: list[str] = []
        for name, now in _sizes(fleet).items():
            more = min(now - before.get(name, now), parameters.by)
            # A worker that was started anew meanwhile has its own size again.
            if more > 0:
                lines += fleet.done("pool_shrink", [name], n=more)
        return Done("\n".join(lines) or "No pool is larger than before")


def _sizes(fleet: Fleet) -> dict[str, int]:
    return {name: size(stats) for name, stats in fleet.members().items()}


def _grown(sizes: Mapping[str, int], parameters: PoolGrowParameters) -> dict[str, int]:
    """By how much each pool grows."""
    return {
        name: max(0, min(parameters.by, parameters.most - before)) for name, before in sizes.items()
    }
