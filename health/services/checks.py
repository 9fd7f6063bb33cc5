"""Checks: made, changed and deleted by people, files and programs alike.

Every change is read and judged first (which may ask name servers), then written under the graph's
lock with its audit and journal entries, and followed by an evaluation of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from health.domain.schedule import first_due
from health.models import Check, CheckStatus, Outage
from health.services import check_status
from health.services.catalogue import service_ensure
from health.services.check_drafts import Draft, draft_changed, draft_new, former_target
from health.services.check_fields import pace_check
from health.services.cycles import members_all
from health.services.dependencies import check_dependents, set_check_dependencies
from health.services.editing import GraphEdit, graph_editing
from health.services.evaluation import graph_evaluate
from health.services.targets import (
    kinds_known,
    opened,
    parsed,
    push_digest,
)
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.formatting import printable
from resilience_site.core.journal import Entry
from resilience_site.core.problems import Conflict, Invalid, NotFound

_OBJECT: Final = "check"
SHOWN: Final = (
    "name", "kind", "target", "interval_seconds", "timeout_seconds", "failures_to_down",
    "successes_to_up", "degraded_above_ms", "settle_seconds", "critical", "enabled",
    "description", "runbook_url", "managed_by",
)  # fmt: skip


def check_create(
    *,
    name: Any,
    kind: Any,
    service: Any,
    target: Any,
    interval_seconds: Any = None,
    timeout_seconds: Any = None,
    failures_to_down: Any = 3,
    successes_to_up: Any = 2,
    degraded_above_ms: Any = None,
    settle_seconds: Any = 15.0,
    critical: Any = True,
    enabled: Any = True,
    description: Any = "",
    runbook_url: Any = "",
    depends_on: Sequence[str] = (),
    hard: Any = True,
    managed_by: str = "",
    actor: Actor,
    now: datetime,
) -> Check:
    """Make a check; its service comes into the catalogue if it is not there.

    Without an interval or a timeout it has the site's. `depends_on` names checks and services.
    Raises `Invalid`, whose field is that of the argument or `target.OPTION`.
    """
    given = {
        "name": name,
        "service": service,
        "interval_seconds": interval_seconds,
        "timeout_seconds": timeout_seconds,
        "failures_to_down": failures_to_down,
        "successes_to_up": successes_to_up,
        "degraded_above_ms": degraded_above_ms,
        "settle_seconds": settle_seconds,
        "critical": critical,
        "enabled": enabled,
        "description": description,
        "runbook_url": runbook_url,
    }
    with refusals_audited(
        actor=actor, action="check.create", object_type=_OBJECT, object_id=printable(str(name))
    ):
        draft = draft_new(kind, target, given, depends_on=depends_on, hard=hard)
        with graph_editing(now=now) as edit:
            return check_add(edit, draft, managed_by=managed_by, actor=actor)


def check_update(
    *,
    check_id: UUID,
    changes: Mapping[str, Any],
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Check:
    """Change the named fields of a check; `depends_on` (with `hard`) replaces its own edges.

    Secrets that come masked stay as they are. Raises `NotFound`, `Invalid` and, where `if_match`
    is not the version that stands, `Conflict`.
    """
    with refusals_audited(
        actor=actor, action="check.update", object_type=_OBJECT, object_id=check_id
    ):
        draft = draft_changed(check_get(check_id), changes)
        with graph_editing(now=now) as edit:
            check = check_get(check_id)
            _version_refuse(check, if_match, {**draft.fields, **draft.target_shown})
            return check_change(edit, check, draft, actor=actor)


def check_delete(
    *,
    check_id: UUID,
    force: bool = False,
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Delete a check with its history. With `force`, edges of those that need it go as well.

    Raises `NotFound`, `Conflict`, and `Invalid` that names who needs it.
    """
    with (
        refusals_audited(
            actor=actor, action="check.delete", object_type=_OBJECT, object_id=check_id
        ),
        graph_editing(now=now) as edit,
    ):
        check = check_get(check_id)
        _version_refuse(check, if_match, {"deleted": True})
        check_drop(edit, check, force=force, actor=actor)


def check_get(check_id: UUID) -> Check:
    """A check; raises `NotFound`."""
    check = Check.objects.filter(id=check_id).first()
    if check is None:
        raise NotFound("There is no such check.")
    return check


def check_options(check: Check) -> Any:
    """The options of its kind, with secrets and variables put in: for whoever runs it.

    Raises `OptionError` where they are wrong or name a variable that is not set, and `UnsealError`.
    """
    return parsed(kinds_known()[check.kind], opened(check.sealed_target))


# --- Writes, inside of `graph_editing`


def check_add(edit: GraphEdit, draft: Draft, *, managed_by: str = "", actor: Actor) -> Check:
    """Write a new check. Raises `Invalid` for a name that is taken."""
    assert draft.target is not None
    fields = dict(draft.fields)
    _name_refuse(fields["name"])
    service = service_ensure(name=fields.pop("service"), now=edit.now, entries=edit.entries)
    check = Check(
        kind=draft.kind.name,
        service=service,
        managed_by=managed_by,
        created_at=edit.now,
        updated_at=edit.now,
        **fields,
    )
    _put_target(edit, check, draft)
    check.save(force_insert=True)
    CheckStatus.objects.create(
        check_row=check,
        next_due_at=first_due(check.id, check.interval_seconds, edit.now)
        if check.enabled
        else None,
        own_since=edit.now,
        since=edit.now,
        minutes_from=edit.now.replace(second=0, microsecond=0),
    )
    if draft.depends_on:
        set_check_dependencies(
            edit, check=check, names=draft.depends_on, hard=draft.hard, actor=actor
        )
    _record("create", edit, check, actor, None, check_shown(check))
    return check


def check_change(
    edit: GraphEdit, check: Check, draft: Draft, *, managed_by: str | None = None, actor: Actor
) -> Check:
    """Write a change; one that changes nothing leaves no trace. Raises `Invalid`."""
    before, former = check_shown(check), check_status.Former.of(check)
    fields = dict(draft.fields)
    if fields.get("name", check.name) != check.name:
        _name_refuse(fields["name"])
        _members_refuse(check, "name", "is renamed")
    if fields.get("service", check.service_id) != check.service_id:
        check.service = service_ensure(name=fields["service"], now=edit.now, entries=edit.entries)
        edit.edges_added = True
    fields.pop("service", None)
    for field, value in fields.items():
        setattr(check, field, value)
    pace_check(check.interval_seconds, check.timeout_seconds)
    if managed_by is not None:
        check.managed_by = managed_by
    retargeted = draft.target is not None and draft.target.whole != former_target(check)
    if retargeted:
        _put_target(edit, check, draft)
    edges = draft.depends_on is not None and set_check_dependencies(
        edit, check=check, names=draft.depends_on, hard=draft.hard, actor=actor
    )
    after = check_shown(check)
    if after == before and not retargeted and not edges:
        return check
    check.version += 1
    check.updated_at = edit.now
    check.save()
    check_status.follow(check, former, retargeted=retargeted, now=edit.now)
    changed = [field for field in after if after[field] != before[field]]
    _record(
        "update",
        edit,
        check,
        actor,
        {field: before[field] for field in changed},
        {field: after[field] for field in changed}
        | ({"target": after["target"]} if retargeted else {}),
    )
    return check


def check_drop(edit: GraphEdit, check: Check, *, force: bool = False, actor: Actor) -> None:
    """Delete a check. Raises `Invalid` that names who needs it, unless `force`."""
    if not force:
        needed_by = check_dependents(check)
        if needed_by:
            raise Invalid.field(
                "force",
                f"{', '.join(needed_by)} depend on {check.name}; "
                "delete with force to remove those edges as well.",
            )
        _members_refuse(check, "force", "is deleted")
    if Outage.objects.filter(check_row=check, ended_at=None).exclude(announced_at=None).exists():
        # Whoever was told of its failure is told that it is over.
        Check.objects.filter(id=check.id).update(enabled=False)
        graph_evaluate(now=edit.now)
    _record("delete", edit, check, actor, check_shown(check), None)
    check.delete()


def check_shown(check: Check) -> dict[str, Any]:
    """A check as the audit trail and a conflict tell of it: no secrets."""
    shown = {field: getattr(check, field) for field in SHOWN}
    return {**shown, "service": check.service_id}


def _put_target(edit: GraphEdit, check: Check, draft: Draft) -> None:
    target = draft.target
    assert target is not None
    check.target, check.sealed_target = target.shown, target.sealed
    check.push_digest = push_digest(draft.kind, target)
    if check.push_digest is not None:
        taken = Check.objects.filter(push_digest=check.push_digest).exclude(id=check.id)
        if taken.exists():
            raise Invalid.field("target.token", "Another check has this token.")
    if target.options is not None and draft.kind.members(target.options):
        edit.composites.add(check.id)
        edit.edges_added = True


def _name_refuse(name: str) -> None:
    if Check.objects.filter(name=name).exists():
        raise Invalid.field("name", f"There is a check {name!r} already.")


def _members_refuse(check: Check, field: str, what: str) -> None:
    """A composite names its members, so none of them may go or take another name."""
    owners = [key for key, name in members_all() if name == check.name]
    names = Check.objects.filter(id__in=owners).order_by("name").values_list("name", flat=True)
    if names:
        raise Invalid.field(
            field,
            f"{', '.join(names)} combine the state of {check.name}; "
            f"take it out of them before it {what}.",
        )


def _version_refuse(check: Check, if_match: int | None, proposed: Mapping[str, Any]) -> None:
    if if_match is not None and if_match != check.version:
        raise Conflict(
            f"The check {check.name} has changed since you saw it.",
            current={**check_shown(check), "version": check.version},
            proposed=proposed,
        )


def _record(
    verb: str,
    edit: GraphEdit,
    check: Check,
    actor: Actor,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    audit_record(
        actor=actor,
        action=f"check.{verb}",
        object_type=_OBJECT,
        object_id=check.id,
        before=before,
        after=after,
    )
    edit.entries.append(
        Entry(
            Topic.HEALTH,
            f"check_{verb}d",
            str(check.id),
            service=check.service_id,
            payload={"name": check.name},
        )
    )
