"""PostgreSQL: end sessions that began a transaction and do nothing in it."""

from __future__ import annotations

from dataclasses import dataclass

from healing.actions.base import action
from healing.actions.postgreslink import Wanted, require_dsn
from healing.actions.sessions import EndSessions
from health.checks.options import require_range


@dataclass(frozen=True)
class TerminateParameters:
    """Sessions of the database of `dsn` that have been idle in a transaction for `idle_seconds`,
    the longest first, at most `most`; of one `application` or `user` where these are given."""

    dsn: str
    idle_seconds: float = 60.0
    application: str = ""
    user: str = ""
    most: int = 50


@action("postgres_terminate_idle", "End idle transactions of PostgreSQL")
class TerminateIdle(EndSessions[TerminateParameters]):
    """Whoever held one gets an error, and its locks and its place in the pool are free again."""

    Parameters = TerminateParameters

    def validate(self, parameters: TerminateParameters) -> None:
        require_dsn(parameters.dsn)
        require_range("idle_seconds", parameters.idle_seconds, 1.0, 86_400.0)
        require_range("most", parameters.most, 1, 1000)

    def wanted(self, parameters: TerminateParameters) -> Wanted:
        return Wanted(
            ("idle in transaction", "idle in transaction (aborted)"),
            parameters.idle_seconds,
            parameters.application,
            parameters.user,
            parameters.most,
        )

    def meaning(self, parameters: TerminateParameters) -> str:
        named = [each for each in (parameters.application, parameters.user) if each]
        whose = f" by {' and '.join(named)}" if named else ""
        return f"idle in a transaction for {parameters.idle_seconds:g} s or more{whose}"
