"""Reads of the dependency graph.

An edge may name services. A service as a child stands for all of its checks, as a parent for its
critical ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

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
