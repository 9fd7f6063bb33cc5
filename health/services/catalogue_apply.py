"""Brings the site in line with a catalogue file, and says what that changed.

All of it or nothing, in one transaction. A file owns the checks and edges that it made or took
over: what it no longer names goes when it is applied with `prune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from health.models import Check, Dependency, Service
from health.selectors.graph import dependency_list
from health.services.catalogue import service_write
from health.services.catalogue_diff import Change, check_change_words, edge_strength, service_words
from health.services.catalogue_file import Catalogue, Entry, Faults, catalogue_parse, catalogue_read
from health.services.check_drafts import Draft, draft_new, kind_refuse
from health.services.check_fields import FIELDS, name_read
from health.services.checks import (
    check_add,
    check_change,
    check_drop,
    check_shown,
)
from health.services.cycles import members_all
from health.services.dependencies import (
    End,
    Ends,
    edge_remove,
    edge_words,
    edge_write,
    end_named,
)
from health.services.editing import GraphEdit, graph_editing
from health.services.hosts import HostJudge
from resilience_site.core.audit import Actor
from resilience_site.core.problems import FieldError, Invalid


class _Undo(Exception):
    """Ends the transaction of a dry run."""


class _Known(Ends):
    """The whole catalogue, read once: a file that changes nothing asks the database little."""

    def __init__(self) -> None:
        self.services = {service.name: service for service in Service.objects.all()}
        self.checks = {check.name: check for check in Check.objects.all()}
        self.edges = {_between(edge): edge for edge in dependency_list()}

    def check(self, text: str) -> Check | None:
        return self.checks.get(text)

    def service(self, name: str) -> Service | None:
        return self.services.get(name)

    def edge(self, child: End, parent: End) -> Dependency | None:
        """The edge between two ends, whatever its status."""
        return self.edges.get(
            _between(Dependency(**child.columns("child"), **parent.columns("parent")))
        )


def _between(edge: Dependency) -> tuple[Any, ...]:
    return (
        edge.child_check_id, edge.child_service_id, edge.parent_check_id, edge.parent_service_id,
    )  # fmt: skip


@dataclass
class _Run:
    """One application of a file."""

    source: str
    actor: Actor
    edit: GraphEdit
    known: _Known
    faults: Faults = field(default_factory=Faults)
    changes: list[Change] = field(default_factory=list)


def catalogue_apply(
    *,
    text: str,
    source: str,
    dry_run: bool = False,
    prune: bool = False,
    actor: Actor,
    now: datetime,
) -> list[Change]:
    """Apply a file of that text; `source` names it, and what it owns. Returns what changed, or
    with `dry_run` would change.

    Raises `Invalid`, whose errors name the path in the file; then nothing is applied.
    """
    catalogue = catalogue_read(catalogue_parse(text))
    source = name_read("source", source)
    drafts = _drafts(catalogue, source)
    changes: list[Change] = []
    try:
        with transaction.atomic():
            changes = _apply(catalogue, drafts, source, prune, actor, now)
            if dry_run:
                raise _Undo
    except _Undo:
        pass
    except Invalid as problem:
        raise _placed(problem) from None
    return changes


def _placed(problem: Invalid) -> Invalid:
    """What only the whole graph shows, at the section of the file that it comes from."""
    sections = {"depends_on": "dependencies", "target": "checks"}
    errors = [each._replace(field=sections.get(each.field, each.field)) for each in problem.errors]
    return Invalid(problem.detail, errors)


def _drafts(catalogue: Catalogue, source: str) -> dict[str, Draft]:
    """The checks of the file, read and judged: this may ask name servers, so no lock is held."""
    faults, drafts, judge = Faults(), {}, HostJudge()
    names = [entry.values["name"] for entry in catalogue.checks]
    known = {
        check.name: check
        for check in Check.objects.filter(name__in=[n for n in names if isinstance(n, str)])
    }
    for entry in catalogue.checks:
        try:
            drafts[entry.path] = _draft(
                entry.values, known.get(entry.values["name"]), source, judge
            )
        except Invalid as problem:
            faults.take(entry.path, problem)
    faults.stop()
    return drafts


def _draft(values: Mapping[str, Any], check: Check | None, source: str, judge: HostJudge) -> Draft:
    if check is not None:
        kind_refuse(check, values["kind"])
        if check.managed_by not in ("", source):
            raise Invalid.field("name", f"The check {check.name} belongs to {check.managed_by}.")
    fields = {name: value for name, value in values.items() if name in FIELDS}
    return draft_new(
        values["kind"], values["target"], fields, depends_on=None, former=check, judge=judge
    )


def _apply(
    catalogue: Catalogue,
    drafts: Mapping[str, Draft],
    source: str,
    prune: bool,
    actor: Actor,
    now: datetime,
) -> list[Change]:
    with graph_editing(now=now) as edit:
        run = _Run(source, actor, edit, _Known())
        for entry in catalogue.services:
            _service(run, entry)
        for entry in catalogue.checks:
            _check(run, entry, drafts[entry.path])
        edges = _edges(run, catalogue)
        _edges_gone(run, catalogue, edges, prune)
        if prune:
            _checks_gone(run, catalogue)
        run.faults.stop()
    return run.changes


def _service(run: _Run, entry: Entry) -> None:
    name = entry.values["name"]
    fields = {key: value for key, value in entry.values.items() if key != "name"}
    known = run.known.service(name)
    words = service_words({key: getattr(known, key, "") for key in fields}, fields)
    if known is not None and not words:
        return
    run.known.services[name] = service_write(
        name=name, fields=fields, now=run.edit.now, entries=run.edit.entries, actor=run.actor
    )
    if known is None:
        run.changes.append(Change("add", f"service {name}"))
    else:
        run.changes.append(Change("change", f"service {name}", words))


def _check(run: _Run, entry: Entry, draft: Draft) -> None:
    check = run.known.check(entry.values["name"])
    try:
        if check is None:
            made = check_add(run.edit, draft, managed_by=run.source, actor=run.actor)
            run.known.checks[made.name] = made
            run.known.services[made.service.name] = made.service
            about = f"{made.kind} of {made.service_id}, every {made.interval_seconds:g} s"
            run.changes.append(Change("add", f"check {made.name}", (about,)))
            return
        before, version = check_shown(check), check.version
        check_change(run.edit, check, draft, managed_by=run.source, actor=run.actor)
        if check.version != version:
            words = check_change_words(before, check_shown(check))
            run.changes.append(Change("change", f"check {check.name}", words))
    except Invalid as problem:
        run.faults.take(entry.path, problem)


def _edges(run: _Run, catalogue: Catalogue) -> set[UUID]:
    """Declare the edges of the file; returns them."""
    run.faults.stop()
    declared: dict[UUID, str] = {}
    for entry in catalogue.checks:
        for place, name in enumerate(entry.values["depends_on"]):
            path = f"{entry.path}.depends_on[{place}]"
            child = End(check=run.known.checks[entry.values["name"]])
            _declare(run, declared, path, child, name, entry.values["hard"], None)
    for entry in catalogue.edges:
        values = entry.values
        ends = (values["child"], values["parent"])
        _declare(run, declared, entry.path, *ends, values["hard"], values["reason"])
    return set(declared)


def _declare(
    run: _Run,
    declared: dict[UUID, str],
    path: str,
    child: Any,
    parent: Any,
    hard: bool,
    reason: str | None,
) -> None:
    try:
        ends = (
            child if isinstance(child, End) else end_named("child", child, run.known),
            end_named("parent", parent, run.known),
        )
    except Invalid as problem:
        if isinstance(child, End):
            run.faults.add(path, problem.detail)
        else:
            run.faults.take(path, problem)
        return
    former = run.known.edge(*ends)
    before = None if former is None else (former.hard, str(former.status))
    edge, changed = edge_write(
        run.edit, former, *ends, hard=hard, reason=reason, managed_by=run.source, actor=run.actor
    )
    run.known.edges[_between(edge)] = edge
    if edge.id in declared:
        run.faults.add(path, f"stands at {declared[edge.id]} already.")
    declared.setdefault(edge.id, path)
    if changed:
        kind = "add" if before is None else "change"
        words = edge_strength(edge, before)
        run.changes.append(Change(kind, edge_words(edge), words))


def _edges_gone(run: _Run, catalogue: Catalogue, kept: set[UUID], prune: bool) -> None:
    """Remove edges that the file no longer names: of its checks always, others when pruning."""
    named = {entry.values["name"] for entry in catalogue.checks}
    gone = dependency_list().filter(managed_by=run.source).exclude(id__in=kept)
    for edge in sorted(gone, key=edge_words):
        if prune or (edge.child_check is not None and edge.child_check.name in named):
            run.changes.append(Change("remove", edge_words(edge)))
            edge_remove(run.edit, edge, actor=run.actor)


def _checks_gone(run: _Run, catalogue: Catalogue) -> None:
    named = [entry.values["name"] for entry in catalogue.checks]
    gone = list(Check.objects.filter(managed_by=run.source).exclude(name__in=named))
    for edge in dependency_list().filter(child_check__in=gone):
        edge_remove(run.edit, edge, actor=run.actor)
    # Composites go before what they combine.
    readers = {key for key, _ in members_all()}
    for check in sorted(gone, key=lambda each: (each.id not in readers, each.name)):
        run.changes.append(Change("remove", f"check {check.name}"))
        try:
            check_drop(run.edit, check, actor=run.actor)
        except Invalid as problem:
            run.faults.found.append(FieldError("checks", problem.detail))
