"""Cycles of the dependency graph, looked for over checks and services alike, and put into words.

A service is two nodes: `in` is what all of its checks need, `out` is who needs it. Check c of S
has the edges c → in(S) and out(S) → c; what a composite reads counts as an edge as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

from health.checks.base import CheckKind
from health.checks.options import OptionError
from health.domain.graph import find_cycle
from health.models import Check, Dependency, Service
from health.selectors.graph import COUNTED
from health.services.targets import kinds_known
from resilience_site.core.problems import Invalid

Pair = tuple[str, str]


def cycles_refuse() -> None:
    """Raise `Invalid`, with the cycle in words, if what is stored has one."""
    words = cycle_words()
    if words:
        raise Invalid.field("depends_on", words)


def cycle_words(extra: Iterable[Dependency] = ()) -> str:
    """The cycle that the edges that count make together with `extra` ones, told step by step from
    its first node by name around to it; empty where there is none."""
    names = {key: (name, service) for key, name, service in _checks()}
    counted = Dependency.objects.filter(status__in=COUNTED)
    pairs = [
        *_of_membership((key, service) for key, (_, service) in names.items()),
        *((f"out:{name}", f"in:{name}") for name in Service.objects.values_list("name", flat=True)),
        *(_of_edge(edge) for edge in (*counted, *extra)),
        *_of_composites({name: key for key, (name, _) in names.items()}),
    ]
    cycle = find_cycle(pairs)
    return f"This would make a cycle: {', '.join(_steps(cycle, names))}." if cycle else ""


def _steps(cycle: list[str], names: Mapping[UUID, tuple[str, str]]) -> list[str]:
    steps = []
    for start, end in pairwise(cycle):
        child, parent = _label(start, names), _label(end, names)
        if start.startswith("out:") and end.startswith("check:"):
            steps.append(f"{child} has {parent}")
        elif start.startswith("check:") and end.startswith("in:"):
            steps.append(f"{child} is part of {parent}")
        elif child != parent or not start.startswith("out:"):
            steps.append(f"{child} needs {parent}")
    first = steps.index(min(steps))
    return [*steps[first:], *steps[:first]]


def _checks() -> Iterator[tuple[UUID, str, str]]:
    for key, name, service in Check.objects.values_list("id", "name", "service_id").iterator():
        yield key, name, str(service)


def _of_membership(checks: Iterable[tuple[UUID, str]]) -> Iterator[Pair]:
    for key, service in checks:
        yield f"check:{key}", f"in:{service}"
        yield f"out:{service}", f"check:{key}"


def _of_edge(edge: Dependency) -> Pair:
    child = f"check:{edge.child_check_id}" if edge.child_check_id else f"in:{edge.child_service_id}"
    if edge.parent_check_id:
        return child, f"check:{edge.parent_check_id}"
    return child, f"out:{edge.parent_service_id}"


def _of_composites(by_name: dict[str, UUID]) -> Iterator[Pair]:
    for key, name in members_all():
        if name in by_name:
            yield f"check:{key}", f"check:{by_name[name]}"


def members_all() -> Iterator[tuple[UUID, str]]:
    """Each check that reads the state of others, with each name that it reads."""
    reading = [name for name, kind in kinds_known().items() if _reads_members(kind)]
    for check in Check.objects.filter(kind__in=reading).order_by("name"):
        for name in members_of(kinds_known()[check.kind], check.target):
            yield check.id, name


def members_refuse(check_ids: Iterable[UUID]) -> None:
    """Raise `Invalid` if one of the checks reads the state of a check that there is not."""
    names = set(Check.objects.values_list("name", flat=True))
    wanted = set(check_ids)
    for key, name in members_all():
        if key in wanted and name not in names:
            owner = Check.objects.get(id=key)
            raise Invalid.field("target", f"{owner} combines {name!r}, but there is no such check.")


def members_of(kind: CheckKind[Any], target: dict[str, Any]) -> tuple[str, ...]:
    """The names of the checks that a target reads; it was valid when it was stored, but a kind may
    have changed since, and then its own run says so."""
    try:
        return kind.members(kind.parse(target))
    except OptionError:
        return ()


def _reads_members(kind: CheckKind[Any]) -> bool:
    return type(kind).members is not CheckKind.members


def _label(node: str, names: Mapping[UUID, tuple[str, str]]) -> str:
    form, _, rest = node.partition(":")
    return f"check {names[UUID(rest)][0]}" if form == "check" else f"service {rest}"
