"""Actions that end sessions of a database: alike but for which sessions they mean."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from healing.actions.base import Action, Context, Done
from healing.actions.postgreslink import (
    Session,
    Wanted,
    database_of,
    host_of,
    sessions_end,
    sessions_found,
    sessions_gone,
)

_MOST_NAMED = 20


class WithDsn(Protocol):
    """Parameters that name a database."""

    @property
    def dsn(self) -> str: ...


P = TypeVar("P", bound=WithDsn)


class EndSessions(Action[P]):
    """Programs connect anew by themselves, so there is nothing to undo."""

    url_secrets = frozenset({"dsn"})
    safe_to_leave = True
    repeatable = True
    variable = "connection_pool_healing_enabled"

    @abstractmethod
    def wanted(self, parameters: P) -> Wanted:
        """Which sessions are meant."""

    @abstractmethod
    def meaning(self, parameters: P) -> str:
        """In words: `that have been idle for 60 s`."""

    def hosts(self, parameters: P) -> tuple[tuple[str, int], ...]:
        return (host_of(parameters.dsn),)

    def effect(self, parameters: P, context: Context) -> str:
        found = sessions_found(parameters.dsn, self.wanted(parameters), context)
        where = f"of {database_of(parameters.dsn)} {self.meaning(parameters)}"
        if not found:
            return f"Ends no session: none {where}"
        return f"Ends {_counted(found)} {where}: {_listed(found)}"

    def observe(self, parameters: P, context: Context) -> dict[str, Any]:
        found = sessions_found(parameters.dsn, self.wanted(parameters), context)
        return {"sessions": [asdict(each) for each in found]}

    def act(self, parameters: P, context: Context) -> Done:
        wanted = self.wanted(parameters)
        found = sessions_found(parameters.dsn, wanted, context)
        ended = sessions_end(parameters.dsn, wanted, found, context)
        if not ended:
            return Done(f"There was no session {self.meaning(parameters)}", {"ended": 0})
        return Done(f"Ended {_counted(ended)}: {_listed(ended)}", {"ended": len(ended)})

    def finished(self, parameters: P, context: Context) -> bool | None:
        known = [Session(**each) for each in context.before.get("sessions", [])]
        return sessions_gone(parameters.dsn, known, context)


def _counted(sessions: list[Session]) -> str:
    return f"{len(sessions)} session{'s' * (len(sessions) != 1)}"


def _listed(sessions: list[Session]) -> str:
    named = ", ".join(map(str, sessions[:_MOST_NAMED]))
    left = len(sessions) - _MOST_NAMED
    return f"{named} and {left} more" if left > 0 else named
