"""Reads of edges as they were drawn: what a check or a service needs by name, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from health.choices import DependencyStatus
from health.models import Check, Dependency
from health.selectors.graph import COUNTED, dependency_list
from resilience_site.core.pagination import Page, keyset_page
from resilience_site.core.problems import Invalid

# What a list of edges may be asked for beside single statuses.
COUNTING: Final = "counting"


@dataclass(frozen=True)
class Need:
    """An edge of a check's own that counts; `parent` is the name of a check, or `service:NAME`."""

    parent: str
    hard: bool


def needs_of(check_ids: Collection[UUID]) -> dict[UUID, list[Need]]:
    """What each of the checks was said to need, in the order of the names; one query."""
    rows = Dependency.objects.filter(child_check__in=check_ids, status__in=COUNTED).values_list(
        "child_check_id", "parent_check__name", "parent_service_id", "hard"
    )
    found: dict[UUID, list[Need]] = defaultdict(list)
    for child, check, service, hard in rows:
        found[child].append(Need(check or f"service:{service}", hard))
    for needs in found.values():
        needs.sort(key=lambda each: each.parent)
    return found


def edge_page(
    *, status: str = "", q: str = "", check: UUID | None = None, cursor: str | None, limit: int
) -> Page:
    """Edges, the newest first: of one status, of those that count (`counting`) or of all; `q` in
    the name of one end, `check` at one end. Raises `Invalid` and `Malformed`."""
    rows = dependency_list(_statuses(status)).select_related(
        "child_check__status", "parent_check__status"
    )
    if q:
        rows = rows.filter(_named(q))
    if check is not None:
        rows = rows.filter(Q(child_check=check) | Q(parent_check=check))
    return keyset_page(
        rows, by=("-created_at", "-id"), types=(datetime, UUID), cursor=cursor, limit=limit
    )


def proposals(most: int) -> tuple[list[Dependency], int]:
    """The proposed edges with the most calls, at most so many, and how many there are."""
    rows = Dependency.objects.filter(status=DependencyStatus.PROPOSED)
    return list(rows.order_by("-calls", "created_at", "id")[:most]), rows.count()


def edge_find(dependency_id: UUID) -> Dependency | None:
    """One edge with the checks at its ends, if it is there."""
    return dependency_list().filter(id=dependency_id).first()


def end_names() -> Iterable[str]:
    """Every check and service that an edge may name, unmistakably."""
    yield from Check.objects.order_by("name").values_list("name", flat=True)
    services = Check.objects.order_by("service").values_list("service", flat=True).distinct()
    yield from (f"service:{name}" for name in services)


def _statuses(status: str) -> Iterable[str]:
    if status == COUNTING:
        return COUNTED
    if status and status not in DependencyStatus.values:
        known = ", ".join((COUNTING, *DependencyStatus.values))
        raise Invalid.field("query.status", f"The status is one of {known}.")
    return [status] if status else []


def _named(q: str) -> Q:
    wanted = Q()
    for end in ("child_check__name", "child_service", "parent_check__name", "parent_service"):
        path = f"{end}__name" if end.endswith("service") else end
        wanted |= Q(**{f"{path}__icontains": q})
    return wanted
