"""PostgreSQL: have a service's pools connect anew, by ending what they hold and do not use."""

from __future__ import annotations

from dataclasses import dataclass

from healing.actions.base import action
from healing.actions.postgreslink import Wanted, require_dsn
from healing.actions.sessions import EndSessions
from health.checks.options import require_range


@dataclass(frozen=True)
class RecycleParameters:
    """The sessions in the database of `dsn` whose application_name is `application`, and that have
    been idle for `idle_seconds`, within a transaction or not; at most `most`. What works goes on.
    """

    dsn: str
    application: str
    idle_seconds: float = 1.0
    most: int = 200


@action("postgres_recycle", "Have pools of PostgreSQL connect anew")
class Recycle(EndSessions[RecycleParameters]):
    """Pools replace what they find broken; a first call may still fail on it."""

    Parameters = RecycleParameters

    def validate(self, parameters: RecycleParameters) -> None:
        require_dsn(parameters.dsn)
        require_range("idle_seconds", parameters.idle_seconds, 0.0, 86_400.0)
        require_range("most", parameters.most, 1, 10_000)

    def wanted(self, parameters: RecycleParameters) -> Wanted:
        states = ("idle", "idle in transaction", "idle in transaction (aborted)")
        return Wanted(states, parameters.idle_seconds, parameters.application, most=parameters.most)

    def meaning(self, parameters: RecycleParameters) -> str:
        return f"of {parameters.application} idle for {parameters.idle_seconds:g} s or more"
