"""What one execution of an action gets, and what happens at the site while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from breakers.models import Instance
from healing.actions.base import Action, ActionFailed, Context, Done, Subject
from healing.actions.registry import action_named
from health.checks.addresses import Addresses

SERVICE = "planner-mcp-server"


@dataclass
class Moment:
    """A clock that a wait moves on; `meanwhile` is what happens elsewhere during each wait."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    meanwhile: Callable[[], object] = lambda: None

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)
        self.meanwhile()


def context(
    moment: Moment | None = None,
    *,
    kind: str = "service",
    name: str = SERVICE,
    service: str = SERVICE,
    seconds: float = 30.0,
    before: Mapping[str, Any] | None = None,
    private: bool = True,
    **subject: Any,
) -> Context:
    """A step with so many seconds left: by a clock of the test, or by the real one without it."""
    return Context(
        subject=Subject(kind, name, service, **subject),
        key="step-1",
        started_at=moment.now if moment else datetime.now(UTC),
        deadline=seconds + (moment.seconds if moment else time.monotonic()),
        clock=(lambda: moment.seconds) if moment else time.monotonic,
        now=(lambda: moment.now) if moment else (lambda: datetime.now(UTC)),
        pause=moment.pause if moment else time.sleep,
        addresses=Addresses(allow_private=private),
        actor="healing",
        reason="run 7 of heal_connection_pool",
        before=before or {},
    )


@dataclass
class Acted:
    """An act that is over: what it came to, and what undoing it needs."""

    action: Action[Any]
    parameters: Any
    context: Context
    done: Done

    def undo(self) -> Done:
        return self.action.undo(self.parameters, self.context)

    def finished(self) -> bool | None:
        return self.action.finished(self.parameters, self.context)


def effect(name: str, given: Mapping[str, Any], where: Context) -> str:
    found = action_named(name)
    return found.effect(found.parse(given), where)


def act(name: str, given: Mapping[str, Any], where: Context) -> Acted:
    """Observe and act, as the engine does it."""
    found = action_named(name)
    parameters = found.parse(given)
    where = replace(where, before=found.observe(parameters, where))
    return Acted(found, parameters, where, found.act(parameters, where))


def refused(name: str, given: Mapping[str, Any], where: Context) -> ActionFailed:
    """How it fails; it fails the test where it does not."""
    try:
        done = act(name, given, where).done
    except ActionFailed as failed:
        return failed
    raise AssertionError(f"it did not fail: {done}")


def instance(name: str = f"{SERVICE}-1", *, now: datetime, **fields: Any) -> Instance:
    """An instance that reports."""
    return Instance.objects.create(
        service=fields.pop("service", SERVICE),
        instance=name,
        first_seen=now - timedelta(hours=1),
        last_seen=fields.pop("last_seen", now),
        started_at=fields.pop("started_at", now - timedelta(hours=1)),
        **fields,
    )
