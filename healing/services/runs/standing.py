"""How the target of a run and its neighbours stand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from breakers.choices import BreakerState
from breakers.models import Breaker
from breakers.selectors.instances import live_instances
from healing.choices import TargetKind, TriggerKind
from healing.models import HealingRun
from health.choices import HealthState
from health.domain.graph import Graph
from health.models import Check, CheckStatus
from health.selectors.graph import graph_now


def breakers_of(run: HealingRun, now: datetime) -> list[str]:
    """The states of the breaker that the run is about, in each instance that still reports."""
    rows = Breaker.objects.all()
    if run.target_kind == TargetKind.BREAKER:
        service, _, name = run.target.partition("/")
        rows = rows.filter(service=service, name=name)
    else:
        rows = rows.filter(key=run.trigger_key)
    return _states(rows, now)


def breakers_of_service(service: str, now: datetime, name: str = "") -> list[str]:
    """The states of the breakers of a service, or of the one of this name, likewise."""
    rows = Breaker.objects.filter(service=service)
    return _states(rows.filter(name=name) if name else rows, now)


def _states(rows: Iterable[Breaker], now: datetime) -> list[str]:
    states = {(each.service, each.instance, each.name): each.state for each in rows}
    services = {service for service, *_ in states}
    live = {
        (each.service, each.instance)
        for service in services
        for each in live_instances(now, service)
    }
    # One that ended left the last state of its breaker behind.
    return [state for place, state in states.items() if place[:2] in live] or list(states.values())


def recovered_by_itself(run: HealingRun, now: datetime) -> bool:
    """Whether the check that it answers to is up again, or its breaker closed, though nothing was
    done."""
    if run.trigger_kind == TriggerKind.BREAKER_OPEN:
        states = breakers_of(run, now)
        return bool(states) and all(each == BreakerState.CLOSED for each in states)
    if run.trigger_kind != TriggerKind.CHECK_FAILED or run.check_id is None:
        return False
    return CheckStatus.objects.filter(pk=run.check_id, own_state=HealthState.UP).exists()


def checks_failing(services: Collection[str]) -> dict[UUID, str]:
    """The enabled checks of services that fail by their own probes, with their names."""
    rows = CheckStatus.objects.filter(
        check_row__service__name__in=services, check_row__enabled=True, own_state=HealthState.DOWN
    )
    return dict(rows.values_list("check_row_id", "check_row__name"))


def neighbours_failing(service: str) -> dict[UUID, str]:
    """The checks that fail of a service and of what it needs or is needed by, with their names."""
    own = set(Check.objects.filter(service__name=service).values_list("pk", flat=True))
    near = own | _next_to(graph_now(), own)
    rows = CheckStatus.objects.filter(
        check_row_id__in=near, check_row__enabled=True, own_state=HealthState.DOWN
    )
    return dict(rows.values_list("check_row_id", "check_row__name"))


def _next_to(graph: Graph, keys: Collection[UUID]) -> set[UUID]:
    """What `keys` need or are needed by, directly: nodes that stand for others are passed."""
    found: set[UUID] = set()
    for ends in (graph.parents, graph.children):
        todo, seen = list(keys), set(keys)
        while todo:
            for end in ends(todo.pop()):
                if end in seen:
                    continue
                seen.add(end)
                if end in graph.groups:
                    todo.append(end)
                else:
                    found.add(end)
    return found
