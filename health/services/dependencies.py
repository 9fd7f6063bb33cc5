"""Edges of the dependency graph: declared by people, or proposed from traces and decided by people.

The ends of an edge are named `check:NAME` or `service:NAME`; a bare name is that of a check, or
else of a service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from health.choices import DependencyStatus
from health.models import Check, Dependency, Service
from health.selectors.graph import COUNTED
from health.services.check_fields import flag_read, text_read
from health.services.cycles import cycle_words
from health.services.editing import GraphEdit, graph_editing
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.journal import Entry
from resilience_site.core.problems import Invalid, NotFound

_OBJECT: Final = "dependency"
MOST_REASON: Final = 1_000
MOST_PARENTS: Final = 100


@dataclass(frozen=True)
class End:
    """One end of an edge: a check or a service."""

    check: Check | None = None
    service: Service | None = None

    @property
    def label(self) -> str:
        """As it is named in edges, in the audit trail and to people."""
        return f"check:{self.check.name}" if self.check else f"service:{self.service}"

    def columns(self, side: str) -> dict[str, Any]:
        """The values of this end's columns; `side` is child or parent."""
        return {f"{side}_check": self.check, f"{side}_service": self.service}


def dependency_declare(
    *, child: str, parent: str, hard: Any = True, reason: Any = "", actor: Actor, now: datetime
) -> Dependency:
    """Say that `child` needs `parent`; an edge that was proposed or rejected becomes declared.

    Raises `Invalid` for an end that there is not, and with the cycle in words for an edge that
    would make one.
    """
    with (
        refusals_audited(
            actor=actor,
            action="dependency.declare",
            object_type=_OBJECT,
            object_id=printable(f"{child} → {parent}"),
        ),
        graph_editing(now=now) as edit,
    ):
        return edge_declare(
            edit,
            end_named("child", child),
            end_named("parent", parent),
            hard=flag_read("hard", hard),
            reason=text_read("reason", reason, MOST_REASON) or None,
            actor=actor,
        )[0]


def dependency_remove(*, dependency_id: UUID, actor: Actor, now: datetime) -> None:
    """Delete an edge; traces may propose it anew, unless it is rejected instead.

    Raises `NotFound`.
    """
    with (
        refusals_audited(
            actor=actor,
            action="dependency.remove",
            object_type=_OBJECT,
            object_id=dependency_id,
        ),
        graph_editing(now=now) as edit,
    ):
        edge_remove(edit, _edge(dependency_id), actor=actor)


def dependency_accept(
    *, dependency_id: UUID, hard: Any = None, reason: Any = "", actor: Actor, now: datetime
) -> Dependency:
    """Let a proposed (or once rejected) edge count; `hard` where it is not to stay as proposed.

    Raises `NotFound`, and `Invalid` for one that counts already or would make a cycle.
    """
    return _decide(
        dependency_id, DependencyStatus.ACCEPTED, hard=hard, reason=reason, actor=actor, now=now
    )


def dependency_reject(
    *, dependency_id: UUID, reason: Any = "", actor: Actor, now: datetime
) -> Dependency:
    """Let an edge not count, and never be proposed again.

    Raises `NotFound`, and `Invalid` for one that is rejected already.
    """
    return _decide(
        dependency_id, DependencyStatus.REJECTED, hard=None, reason=reason, actor=actor, now=now
    )


def _decide(
    dependency_id: UUID,
    status: DependencyStatus,
    *,
    hard: Any,
    reason: Any,
    actor: Actor,
    now: datetime,
) -> Dependency:
    verb = "accept" if status == DependencyStatus.ACCEPTED else "reject"
    with (
        refusals_audited(
            actor=actor,
            action=f"dependency.{verb}",
            object_type=_OBJECT,
            object_id=dependency_id,
        ),
        graph_editing(now=now) as edit,
    ):
        edge = _edge(dependency_id)
        counts = edge.status in COUNTED
        if edge.status == status or (verb == "accept" and counts):
            raise Invalid.field("status", f"{edge_words(edge)}: it is {edge.status} already.")
        before = edge_shown(edge)
        edge.status = status
        edge.hard = edge.hard if hard is None else flag_read("hard", hard)
        edge.reason = text_read("reason", reason, MOST_REASON)
        edge.decided_at, edge.decided_by = now, actor.name
        edge.save()
        edit.edges_added |= edge.status in COUNTED
        _record(verb, edit, edge, actor, before, edge_shown(edge), edge.reason)
        return edge


def cycle_of(edge: Dependency) -> str:
    """The cycle in words that accepting an edge would make; empty where it would make none."""
    return cycle_words([edge])


# --- Within `graph_editing`


def edge_declare(
    edit: GraphEdit,
    child: End,
    parent: End,
    *,
    hard: bool,
    reason: str | None = None,
    managed_by: str = "",
    actor: Actor,
) -> tuple[Dependency, bool]:
    """Write a declared edge; returns it, and whether that changed anything.

    Without a `reason` the former one stays; `managed_by` takes over one that nobody manages.
    """
    return edge_write(
        edit,
        edge_between(child, parent),
        child,
        parent,
        hard=hard,
        reason=reason,
        managed_by=managed_by,
        actor=actor,
    )


def edge_write(
    edit: GraphEdit,
    edge: Dependency | None,
    child: End,
    parent: End,
    *,
    hard: bool,
    reason: str | None = None,
    managed_by: str = "",
    actor: Actor,
) -> tuple[Dependency, bool]:
    """As `edge_declare`, for who knows what there is between the ends."""
    if edge is None:
        ends = {**child.columns("child"), **parent.columns("parent")}
        edge = Dependency(**ends, status=DependencyStatus.PROPOSED, created_at=edit.now)
        before = None
    else:
        before = edge_shown(edge)
    said = edge.reason if reason is None else reason
    owner = edge.managed_by or managed_by
    meant = (DependencyStatus.DECLARED, hard, said, owner)
    if (edge.status, edge.hard, edge.reason, edge.managed_by) == meant:
        return edge, False
    edge.status, edge.hard, edge.reason, edge.managed_by = meant
    edge.decided_at, edge.decided_by = edit.now, actor.name
    edge.save()
    edit.edges_added = True
    _record("declare", edit, edge, actor, before, edge_shown(edge), said)
    return edge, True


def edge_remove(edit: GraphEdit, edge: Dependency, *, actor: Actor) -> None:
    """Delete an edge."""
    _record("remove", edit, edge, actor, edge_shown(edge), None)
    edge.delete()


def set_check_dependencies(
    edit: GraphEdit, *, check: Check, names: Sequence[str], hard: bool = True, actor: Actor
) -> bool:
    """Let a check need just those checks and services; returns whether that changed anything.

    Raises `Invalid` for a name that there is not.
    """
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or len(names) > MOST_PARENTS:
        raise Invalid.field("depends_on", f"depends_on is a list of at most {MOST_PARENTS} names.")
    parents = {end.label: end for end in (end_named("depends_on", name) for name in names)}
    child, changed, kept = End(check=check), False, set()
    for parent in parents.values():
        edge, written = edge_declare(edit, child, parent, hard=hard, actor=actor)
        changed |= written
        kept.add(edge.id)
    for edge in check.parent_edges.filter(status__in=COUNTED).exclude(id__in=kept):
        edge_remove(edit, edge, actor=actor)
        changed = True
    return changed


def check_dependents(check: Check) -> list[str]:
    """Names of those that an edge which counts makes need the check itself."""
    edges = check.child_edges.filter(status__in=COUNTED).select_related("child_check")
    return sorted(
        each.child_check.name if each.child_check else f"service {each.child_service_id}"
        for each in edges
    )


class Ends:
    """Looks up what edges name, each in the database."""

    def check(self, text: str) -> Check | None:
        """The check of that name or id."""
        return Check.objects.filter(_check_match(text)).first()

    def service(self, name: str) -> Service | None:
        return Service.objects.filter(name=name).first()


_ENDS: Final = Ends()


def end_named(field: str, name: Any, ends: Ends = _ENDS) -> End:
    """The check or service of that name. Raises `Invalid`."""
    if not isinstance(name, str) or name != printable(name):
        raise Invalid.field(field, f"{field} names a check or a service.")
    form, separator, rest = name.partition(":")
    wanted = form if separator and form in ("check", "service") else ""
    bare = rest if wanted else name
    if wanted != "service":
        check = ends.check(bare)
        if check is not None:
            return End(check=check)
    if wanted != "check":
        service = ends.service(bare)
        if service is not None:
            return End(service=service)
    raise Invalid.field(field, f"There is no {wanted or 'check or service'} {bare!r}.")


def _check_match(text: str) -> Q:
    try:
        return Q(name=text) | Q(id=UUID(text))
    except ValueError:
        return Q(name=text)


def edge_between(child: End, parent: End) -> Dependency | None:
    """The edge between two ends, whatever its status."""
    rows = Dependency.objects.select_related("child_check", "parent_check")
    for column, value in {**child.columns("child"), **parent.columns("parent")}.items():
        rows = rows.filter(**({f"{column}__isnull": True} if value is None else {column: value}))
    return rows.first()


def _edge(dependency_id: UUID) -> Dependency:
    rows = Dependency.objects.select_related("child_check", "parent_check")
    edge = rows.filter(id=dependency_id).first()
    if edge is None:
        raise NotFound("There is no such dependency.")
    return edge


def edge_words(edge: Dependency) -> str:
    """`web needs service planner` for people."""
    child = edge.child_check.name if edge.child_check else f"service {edge.child_service_id}"
    parent = edge.parent_check.name if edge.parent_check else f"service {edge.parent_service_id}"
    return f"{child} needs {parent}"


def edge_shown(edge: Dependency) -> dict[str, Any]:
    """An edge as the audit trail tells of it."""
    child = f"check:{edge.child_check.name}" if edge.child_check else ""
    parent = f"check:{edge.parent_check.name}" if edge.parent_check else ""
    return {
        "child": child or f"service:{edge.child_service_id}",
        "parent": parent or f"service:{edge.parent_service_id}",
        "hard": edge.hard,
        "status": str(edge.status),
    }


def _record(
    verb: str,
    edit: GraphEdit,
    edge: Dependency,
    actor: Actor,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str = "",
) -> None:
    audit_record(
        actor=actor,
        action=f"dependency.{verb}",
        object_type=_OBJECT,
        object_id=edge.id,
        before=before,
        after=after,
        reason=reason,
    )
    edit.entries.append(
        Entry(
            Topic.DEPENDENCIES,
            f"dependency_{verb}",
            str(edge.id),
            str(after["status"]) if after else "",
            payload={"words": edge_words(edge)},
        )
    )
