"""Workflows and targets of a file, brought into the database: all of it or nothing.

What the site ships gives way to what a person changed. Another file is the truth of whoever keeps
it: where it changed since it was last applied, it takes the place of what a person changed since,
which stays among the versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from healing.choices import Mode, Origin
from healing.domain.definition import definition_of
from healing.domain.lines import Lines
from healing.domain.reading import Fault, Written, Wrong, document_read, workflows_read
from healing.models import HealingTarget, Workflow
from healing.services.targets import TargetDraft, target_draft, target_put
from healing.services.workflows.effects import effects_told
from healing.services.workflows.rows import (
    text_digest,
    workflow_record,
    workflow_shown,
    workflow_write,
)
from healing.services.workflows.texts import actions_facts, invalid, known_with
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid

SHIPPED: Final = Path(__file__).parents[2] / "workflows.yaml"
_SECTIONS: Final = ("workflows", "targets")


class _Undo(Exception):
    """Ends the transaction of a dry run."""


@dataclass
class Applied:
    """What applying changed, in lines for people; `workflows` are those that the file is about.
    `effects`, of a dry run: what each of their steps would do to the services now."""

    changes: list[str] = field(default_factory=list)
    workflows: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)


def shipped_read() -> list[Written]:
    """The workflows that the site comes with. Raises `Wrong`."""
    return workflows_read(SHIPPED.read_text(encoding="utf-8"), actions_facts())


def workflows_ship(
    *, mode: str | None = None, dry_run: bool = False, actor: Actor, now: datetime
) -> Applied:
    """Make the shipped workflows, and bring those up to date that no person has changed; new ones
    start in approve. With `mode`, all that no person has set a mode of go into it."""
    return _applied([], shipped_read(), "", mode, dry_run, actor, now)


def healing_apply(
    *,
    text: str,
    source: str,
    mode: str | None = None,
    dry_run: bool = False,
    actor: Actor,
    now: datetime,
) -> Applied:
    """Apply a file of `workflows:` and `targets:`; `source` is its name.

    `mode` is for the workflows that it names, or for the shipped ones where it names none. Raises
    `Invalid` with line and reason for each fault; then nothing is applied.
    """
    try:
        drafts, written = _read(text, source)
    except Wrong as wrong:
        raise invalid(wrong) from None
    return _applied(drafts, written, source, mode, dry_run, actor, now)


def _read(text: str, source: str) -> tuple[list[TargetDraft], list[Written]]:
    document, lines = document_read(text), Lines(text)
    faults = [
        Fault(lines.of([key]), str(key), f"is unknown; known are {' and '.join(_SECTIONS)}.")
        for key in document
        if key not in _SECTIONS
    ]
    drafts = _targets(document.get("targets") or {}, lines, source, faults)
    # A step may ask for a way that the same file gives to a target.
    ways = {way for draft in drafts for way in draft.read.whole}
    written: list[Written] = []
    try:
        written = workflows_read(text, known_with(ways))
    except Wrong as wrong:
        faults += wrong.faults
    if faults:
        raise Wrong(faults)
    return drafts, written


def _targets(given: Any, lines: Lines, source: str, faults: list[Fault]) -> list[TargetDraft]:
    if not isinstance(given, dict):
        faults.append(Fault(lines.of(["targets"]), "targets", "must be a mapping of services."))
        return []
    drafts = []
    for service, entry in given.items():
        place = ["targets", str(service)]
        try:
            if not isinstance(entry, dict) or set(entry) - {"ways", "group"}:
                raise Invalid("A target is a mapping of ways and a group.")
            draft = target_draft(
                service=str(service), ways=entry.get("ways") or {}, group=entry.get("group", "")
            )
            _owned_require(draft.service, source)
        except Invalid as problem:
            for each in problem.errors or [None]:
                path = each.field.split(".") if each and each.field != "service" else []
                words = each.message if each else problem.detail
                faults.append(Fault(lines.of([*place, *path]), ".".join([*place, *path]), words))
        else:
            drafts.append(draft)
    return drafts


def _owned_require(service: str, source: str) -> None:
    owner = HealingTarget.objects.filter(service=service).values_list("managed_by", flat=True)
    if owner.first() not in (None, "", source):
        raise Invalid(f"The target {service} belongs to {owner.first()}.")


def _applied(
    drafts: Sequence[TargetDraft],
    written: Sequence[Written],
    source: str,
    mode: str | None,
    dry_run: bool,
    actor: Actor,
    now: datetime,
) -> Applied:
    if mode is not None and mode not in Mode.values:
        raise Invalid.field("mode", f"{mode!r} is no mode; known are {', '.join(Mode.values)}.")
    done = Applied()
    try:
        with transaction.atomic():
            _write(done, drafts, written, source, mode, actor, now)
            if dry_run:
                rows = Workflow.objects.filter(name__in=done.workflows).order_by("priority", "name")
                done.effects += effects_told(definition_of(each.definition) for each in rows)
                raise _Undo
    except _Undo:
        pass
    return done


def _write(
    done: Applied,
    drafts: Sequence[TargetDraft],
    written: Sequence[Written],
    source: str,
    mode: str | None,
    actor: Actor,
    now: datetime,
) -> None:
    for draft in drafts:
        row, changed = target_put(draft, managed_by=source, actor=actor, now=now)
        if changed:
            verb = "made" if row.version == 1 else "changed"
            done.changes.append(f"{verb} healing target {row.service}")
    rows = {row.name: row for row in Workflow.objects.select_for_update().order_by("name")}
    for each in written:
        name = each.definition.name
        done.workflows.append(name)
        _workflow(done, rows.get(name), each, source, mode, actor, now)
    if not written:
        done.workflows = [row.name for row in rows.values() if row.origin == Origin.SHIPPED]
    if mode is not None:
        for name in done.workflows:
            if name in rows:
                _mode(done, rows[name], mode, actor, now)


def _workflow(
    done: Applied,
    row: Workflow | None,
    written: Written,
    source: str,
    mode: str | None,
    actor: Actor,
    now: datetime,
) -> None:
    name, digest = written.definition.name, text_digest(written.text)
    if row is None:
        row = Workflow(
            origin=Origin.PERSON if source else Origin.SHIPPED,
            mode=mode or Mode.APPROVE,
            shipped_digest=digest,
        )
        workflow_write(row, written.definition, written.text, by=actor.name, now=now)
        workflow_record(row, "create", actor=actor)
        done.changes.append(f"made workflow {name}, in mode {row.mode}")
        return
    if row.shipped_digest == digest:
        return
    if row.changed_by_person and not source:
        done.changes.append(f"kept workflow {name} as {row.changed_by} changed it")
        return
    before = workflow_shown(row)
    row.shipped_digest, row.changed_by_person = digest, False
    workflow_write(row, written.definition, written.text, by=actor.name, now=now)
    workflow_record(row, "update", actor=actor, before=before)
    done.changes.append(f"brought workflow {name} up to date")


def _mode(done: Applied, row: Workflow, mode: str, actor: Actor, now: datetime) -> None:
    if row.mode == mode:
        return
    if row.mode_changed_by:
        done.changes.append(f"kept workflow {row.name} in mode {row.mode}: {row.mode_changed_by}")
        return
    before = workflow_shown(row)
    row.mode, row.mode_changed_at = mode, now
    row.save(update_fields=["mode", "mode_changed_at"])
    workflow_record(row, "mode", actor=actor, before=before)
    done.changes.append(f"set workflow {row.name} to mode {mode}")
