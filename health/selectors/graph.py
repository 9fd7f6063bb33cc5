"""Reads of the dependency graph.

An edge may name services. A service as a child stands for all of its checks, as a parent for its
critical ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from django.db.models import QuerySet

from health.choices import DependencyStatus
from health.domain.graph import Edge, Graph
from health.models import Check, Dependency

COUNTED: Final = (DependencyStatus.DECLARED, DependencyStatus.ACCEPTED)
COMPOSITE: Final = "composite"
# Names the nodes that stand for services.
_GROUPS: Final = UUID("6b0f3f0a-3d0e-4b52-9c1e-6f2b6d7a8c11")


def dependency_list(status: Iterable[str] = ()) -> QuerySet[Dependency]:
    """Edges, the oldest first, with the checks at their ends; of some `status` or (empty) of all."""
    rows = Dependency.objects.select_related("child_check", "parent_check")
    wanted = list(status)
    return rows.filter(status__in=wanted) if wanted else rows


class _Checks:
    """The checks as far as edges need them, read by one query."""

    def __init__(self) -> None:
        self.of: dict[str, list[UUID]] = defaultdict(list)
        self.critical: dict[str, list[UUID]] = defaultdict(list)
        named: dict[str, UUID] = {}
        members: dict[UUID, list[str]] = {}
        rows: Iterable[tuple[Any, ...]] = Check.objects.values_list(
            "id", "service_id", "critical", "name", "kind", "target__members"
        )
        for key, service, critical, name, kind, names in rows:
            named[name] = key
            self.of[service].append(key)
            if critical:
                self.critical[service].append(key)
            if kind == COMPOSITE and isinstance(names, list):
                members[key] = names
        # What a composite fails with explains its failure.
        self.composites = [
            Edge(key, named[name], True)
            for key, names in members.items()
            for name in names
            if name in named
        ]


def check_edges() -> list[Edge]:
    """The edges that count, between checks. Two queries, however many there are."""
    return list(check_edges_each())


def check_edges_each() -> Iterator[Edge]:
    """The same one by one, for whoever does not want them all: services may have many checks."""
    checks = _Checks()
    yield from checks.composites
    for child_check, child_service, parent_check, parent_service, hard in _counted():
        children = [child_check] if child_check else checks.of[child_service]
        parents = [parent_check] if parent_check else checks.critical[parent_service]
        yield from (Edge(c, p, hard) for c in children for p in parents if c != p)


def graph_now() -> Graph:
    """The graph of the edges that count, in which a service is one node however many checks it
    has. Two queries."""
    checks = _Checks()
    edges = list(checks.composites)
    groups: set[UUID] = set()

    def group(form: str, service: str) -> tuple[UUID, bool]:
        """The node that stands for a service, and whether it is a new one."""
        key = uuid5(_GROUPS, f"{form}:{service}")
        new = key not in groups
        groups.add(key)
        return key, new

    for child_check, child_service, parent_check, parent_service, hard in _counted():
        child, parent = child_check, parent_check
        if child is None:
            child, new = group("hard" if hard else "soft", child_service)
            edges += [Edge(each, child, hard) for each in checks.of[child_service] if new]
        if parent is None:
            parent, new = group("out", parent_service)
            edges += [Edge(parent, each, True) for each in checks.critical[parent_service] if new]
        edges.append(Edge(child, parent, hard or child_check is None))
    return Graph(edges, groups)


def _counted() -> QuerySet[Dependency, tuple[Any, ...]]:
    return Dependency.objects.filter(status__in=COUNTED).values_list(
        "child_check_id", "child_service_id", "parent_check_id", "parent_service_id", "hard"
    )


@dataclass(frozen=True)
class BlastRadius:
    """Who needs a check or a service, directly or not, without itself. `services` are those of
    the checks, and those without checks that an edge says so of."""

    checks: frozenset[UUID] = frozenset()
    services: frozenset[str] = frozenset()


def check_blast_radius(check: Check) -> BlastRadius:
    """Who needs a check; its own service is among them if it is critical for it."""
    return Needers().of(f"check:{check.id}")


def service_blast_radius(service: str) -> BlastRadius:
    """Who needs a service."""
    return Needers().of(f"out:{service}")


class Needers:
    """The graph from parents to children, read once (two queries) for any number of questions.

    `in` of a service is all of it, `out` what its own children see.
    """

    def __init__(self) -> None:
        self._children: dict[str, list[str]] = defaultdict(list)
        self._service_of: dict[str, str] = {}
        for key, service, critical in Check.objects.values_list("id", "service_id", "critical"):
            self._service_of[f"check:{key}"] = str(service)
            self._children[f"in:{service}"].append(f"check:{key}")
            if critical:
                self._children[f"check:{key}"].append(f"out:{service}")
        for edge in Dependency.objects.filter(status__in=COUNTED):
            parent = f"check:{edge.parent_check_id}"
            child = f"check:{edge.child_check_id}"
            self._children[
                parent if edge.parent_check_id else f"out:{edge.parent_service_id}"
            ].append(child if edge.child_check_id else f"in:{edge.child_service_id}")
        self._with_checks = set(self._service_of.values())

    def of_check(self, check_id: UUID) -> BlastRadius:
        """As `check_blast_radius`."""
        return self.of(f"check:{check_id}")

    def of(self, start: str) -> BlastRadius:
        """Who needs the node, directly or not."""
        reached, todo = {start}, [start]
        while todo:
            node = todo.pop()
            ends = self._children.get(node, [])
            form, _, name = node.partition(":")
            if form == "in" and name not in self._with_checks:
                # Nobody probes it, so nobody knows better than that it fails with what it needs.
                ends = [f"out:{name}"]
            todo += [end for end in ends if end not in reached]
            reached.update(ends)
        nodes = [node.partition(":") for node in reached - {start}]
        checks = {UUID(name) for form, _, name in nodes if form == "check"}
        services = {name for form, _, name in nodes if form == "in" or form == "out"}
        services |= {self._service_of[f"check:{key}"] for key in checks}
        return BlastRadius(frozenset(checks), frozenset(services - {start.removeprefix("out:")}))
