"""Celery: restart the pools of workers, which stay connected meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from healing.actions.base import ActionFailed, Context, Done, action
from healing.actions.fleet import ONE, Fleet, FleetAction, processes


@dataclass(frozen=True)
class PoolRestartParameters:
    """`worker` is one, all or a name. The fleet must run with `worker_pool_restarts`."""

    broker_url: str
    worker: str = ONE
    control_exchange: str = "celery"
    reply_seconds: float = 1.0


@action("celery_pool_restart", "Restart pools of Celery workers")
class CeleryPoolRestart(FleetAction[PoolRestartParameters]):
    """Other processes must run in the pool afterwards; of a pool of threads the worker's word counts."""

    Parameters = PoolRestartParameters
    safe_to_leave = True
    variable = "auto_restart_enabled"

    def effect_on(
        self, members: Mapping[str, Any], parameters: PoolRestartParameters, context: Context
    ) -> str:
        pools = (
            f"{name} ({len(processes(stats)) or 'no'} processes)" for name, stats in members.items()
        )
        return f"Restarts the pool of {', '.join(pools)}"

    def observe(self, parameters: PoolRestartParameters, context: Context) -> dict[str, Any]:
        members = Fleet(parameters, context).members()
        return {"processes": {name: processes(stats) for name, stats in members.items()}}

    def act(self, parameters: PoolRestartParameters, context: Context) -> Done:
        fleet, before = Fleet(parameters, context), context.before["processes"]
        lines = fleet.done("pool_restart", list(before))
        while old := _same(fleet, before):
            if not fleet.wait():
                raise ActionFailed(
                    f"The pool of {', '.join(old)} was not restarted in time",
                    output="\n".join(lines),
                )
        return Done("\n".join(lines))

    def finished(self, parameters: PoolRestartParameters, context: Context) -> bool | None:
        before = context.before.get("processes", {})
        if not before or not all(before.values()):
            return None
        return not _same(Fleet(parameters, context), before)


def _same(fleet: Fleet, before: Mapping[str, list[int]]) -> list[str]:
    """The workers in whose pools a process of before still runs, or none does."""
    stats = fleet.told("stats", list(before))
    return [
        name
        for name, old in before.items()
        if old
        and (not (now := processes(stats.get(name) or {})) or set(now) & set(old))
    ]  # fmt: skip
