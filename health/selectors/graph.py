"""Reads of the dependency graph.

An edge may name services. A service as a child stands for all of its checks, as a parent for its
critical ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from health.choices import DependencyStatus
from health.domain.graph import Edge
from health.models import Check, Dependency

COUNTED: Final = (DependencyStatus.DECLARED, DependencyStatus.ACCEPTED)


def dependency_list(status: Iterable[str] = ()) -> QuerySet[Dependency]:
    """Edges, the oldest first, with the checks at their ends; of some `status` or (empty) of all."""
    rows = Dependency.objects.select_related("child_check", "parent_check")
    wanted = list(status)
    return rows.filter(status__in=wanted) if wanted else rows


def check_edges() -> list[Edge]:
    """The edges that count, between checks. Two queries, however many there are."""
    everything: dict[Any, list[UUID]] = defaultdict(list)
    critical: dict[Any, list[UUID]] = defaultdict(list)
    for key, service, is_critical in Check.objects.values_list("id", "service_id", "critical"):
        everything[service].append(key)
        if is_critical:
            critical[service].append(key)
    counted = Dependency.objects.filter(status__in=COUNTED).values_list(
        "child_check_id", "child_service_id", "parent_check_id", "parent_service_id", "hard"
    )
    edges = []
    for child_check, child_service, parent_check, parent_service, hard in counted:
        children = [child_check] if child_check else everything[child_service]
        parents = [parent_check] if parent_check else critical[parent_service]
        edges += [Edge(c, p, hard) for c in children for p in parents if c != p]
    return edges


@dataclass(frozen=True)
class BlastRadius:
    """Who needs a check or a service, directly or not, without itself. `services` are those of
    the checks, and those without checks that an edge says so of."""

    checks: frozenset[UUID] = frozenset()
    services: frozenset[str] = frozenset()


def check_blast_radius(check: Check) -> BlastRadius:
    """Who needs a check; its own service is among them if it is critical for it."""
    return _blast_radius(f"check:{check.id}")


def service_blast_radius(service: str) -> BlastRadius:
    """Who needs a service."""
    return _blast_radius(f"out:{service}")


def _blast_radius(start: str) -> BlastRadius:
    """From parents to children: `in` of a service is all of it, `out` what its own children see."""
    children: dict[str, list[str]] = defaultdict(list)
    service_of = {}
    for key, service, critical in Check.objects.values_list("id", "service_id", "critical"):
        service_of[f"check:{key}"] = str(service)
        children[f"in:{service}"].append(f"check:{key}")
        if critical:
            children[f"check:{key}"].append(f"out:{service}")
    for edge in Dependency.objects.filter(status__in=COUNTED):
        parent = f"check:{edge.parent_check_id}"
        child = f"check:{edge.child_check_id}"
        children[parent if edge.parent_check_id else f"out:{edge.parent_service_id}"].append(
            child if edge.child_check_id else f"in:{edge.child_service_id}"
        )
    with_checks = set(service_of.values())
    reached, todo = {start}, [start]
    while todo:
        node = todo.pop()
        ends = children[node]
        form, _, name = node.partition(":")
        if form == "in" and name not in with_checks:
            # Nobody probes it, so nobody knows better than that it fails with what it needs.
            ends = [f"out:{name}"]
        todo += [end for end in ends if end not in reached]
        reached.update(ends)
    nodes = [node.partition(":") for node in reached - {start}]
    checks = {UUID(name) for form, _, name in nodes if form == "check"}
    services = {name for form, _, name in nodes if form == "in" or form == "out"}
    services |= {service_of[f"check:{key}"] for key in checks}
    return BlastRadius(frozenset(checks), frozenset(services - {start.removeprefix("out:")}))


def service_edges() -> list[tuple[str, str, bool]]:
    """The edges that count, between services: (child, parent, hard), of two the hard one.

    An edge of a check is one of its service; edges within a service are left out.
    """
    rows = Dependency.objects.filter(status__in=COUNTED).values_list(
        Coalesce("child_service", "child_check__service"),
        Coalesce("parent_service", "parent_check__service"),
        "hard",
    )
    found: dict[tuple[str, str], bool] = {}
    for child, parent, hard in rows:
        if child != parent:
            found[child, parent] = found.get((child, parent), False) or hard
    return [(*pair, hard) for pair, hard in sorted(found.items())]
