"""How services are reached for healing: kept, shown without secrets, and put to use by steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from healing.actions.base import Action, ActionFailed, Subject
from healing.actions.registry import actions_known
from healing.domain.definition import Call, Step
from healing.models import HealingTarget
from healing.services.parameters import names_of, parameters_parse, put_in, secrets_in
from healing.services.ways import Ways, led_elsewhere, ways_opened, ways_read
from health.checks.options import OptionError
from health.services.check_fields import name_read, text_read
from health.services.masks import mask
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, NotFound
from resilience_site.core.sealing import UnsealError

_OBJECT: Final = "healing_target"
_MOST_GROUP: Final = 100


@dataclass(frozen=True)
class Resolved:
    """A step's call, made ready: the action with its typed parameters.

    `shown` are the parameters as people see them, `secrets` what no output may carry. `way` is the
    name by which the target led to the action, empty where the step names the action itself.
    `safe_to_leave`: the action is, or whoever set up the way says that what it does there is.
    """

    action: Action[Any]
    parameters: Any
    shown: dict[str, Any]
    secrets: frozenset[str] = frozenset()
    way: str = ""
    safe_to_leave: bool = False


def step_resolve(call: Step | Call, subject: Subject) -> Resolved:
    """What a step comes to on the real target. Raises `ActionFailed`: there is no such way, or its
    parameters cannot be used here; another attempt would end the same."""
    action = actions_known().get(call.action)
    if action is not None:
        return _resolved(action, call.parameters, subject, way="", safe=action.safe_to_leave)
    return _by_way(call, subject)


def _by_way(call: Step | Call, subject: Subject) -> Resolved:
    row = HealingTarget.objects.filter(service=subject.service).first()
    entry = _opened(row).get(call.action) if row is not None else None
    action = actions_known().get(entry["action"]) if entry is not None else None
    if entry is None or action is None:
        raise ActionFailed(
            f"Nothing says how to {call.action.replace('_', ' ')} {subject.service}: its healing "
            f"target has no way {call.action}.",
            permanent=True,
        )
    own = entry.get("with", {})
    whole = {**own, **call.parameters}
    found = _resolved(
        action, whole, subject,
        way=call.action, safe=action.safe_to_leave or bool(entry.get("safe_to_leave")),
    )  # fmt: skip
    if call.parameters and ((action.secrets | action.url_secrets) & set(own)):
        # Whoever may write a workflow must not lead a secret of the target elsewhere.
        before = _parsed(action, own, subject)
        if led_elsewhere(action, before, found.parameters):
            raise ActionFailed(
                f"The step would send a secret of the way {call.action} to another host, or with "
                "less protection.",
                permanent=True,
            )
    return found


def _resolved(
    action: Action[Any], given: Mapping[str, Any], subject: Subject, *, way: str, safe: bool
) -> Resolved:
    names = names_of(subject)
    parameters = _parsed(action, given, subject)
    return Resolved(
        action=action,
        parameters=parameters,
        shown=mask(action, put_in(given, names, variables=False)),
        secrets=secrets_in(action, given, names),
        way=way,
        safe_to_leave=safe,
    )


def _parsed(action: Action[Any], given: Mapping[str, Any], subject: Subject) -> Any:
    try:
        return parameters_parse(action, given, names_of(subject))
    except OptionError as error:
        raise ActionFailed(
            f"{action.label}: {error.option} {error.message}.", permanent=True
        ) from None


def _opened(row: HealingTarget) -> dict[str, Any]:
    try:
        return ways_opened(row.sealed_ways)
    except UnsealError as error:
        raise ActionFailed(f"The ways of {row.service}: {error}", permanent=True) from None


def ways_of(service: str) -> frozenset[str]:
    """The names of the ways that a service has."""
    row = HealingTarget.objects.filter(service=service).values_list("ways", flat=True).first()
    return frozenset(row or {})


def target_save(
    *,
    service: str,
    ways: Mapping[str, Any],
    group: str = "",
    managed_by: str = "",
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> HealingTarget:
    """Say how a service is reached: for each way `{"action": NAME, "with": {…}}`, where `with` may
    keep secrets by their masks, and `"safe_to_leave": true` says that nothing has to be undone.

    Raises `Invalid`, with a field for each fault (`ways.restart.with.url`), and `Conflict`.
    """
    shown_name = printable(str(service)[:100])
    with refusals_audited(
        actor=actor, action="healing_target.save", object_type=_OBJECT, object_id=shown_name
    ):
        # Judged outside of the transaction: it may ask name servers.
        draft = target_draft(service=service, ways=ways, group=group)
        with transaction.atomic():
            row, _ = target_put(
                draft, managed_by=managed_by, if_match=if_match, actor=actor, now=now
            )
    return row


@dataclass(frozen=True)
class TargetDraft:
    """A target that is to be, read and judged, nothing written."""

    service: str
    group: str
    read: Ways


def target_draft(*, service: Any, ways: Any, group: Any = "") -> TargetDraft:
    """Read and judge a target; may ask name servers. Raises `Invalid`."""
    name = name_read("service", service)
    row = HealingTarget.objects.filter(service=name).first()
    read = ways_read(ways, former=_former(row), service=name)
    return TargetDraft(name, text_read("group", group, _MOST_GROUP), read)


def target_put(
    draft: TargetDraft,
    *,
    managed_by: str = "",
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> tuple[HealingTarget, bool]:
    """Write a target inside the caller's transaction; whether that changed anything. Raises
    `Conflict`."""
    row = HealingTarget.objects.select_for_update().filter(service=draft.service).first()
    after = {"group": draft.group, "ways": draft.read.shown}
    _match_require(row, if_match, after)
    before = None if row is None else target_shown(row)
    if row is not None and before == after and _former(row) == draft.read.whole:
        return row, False
    saved = row or HealingTarget(service=draft.service, version=0)
    saved.group, saved.ways, saved.sealed_ways = draft.group, draft.read.shown, draft.read.sealed
    saved.managed_by, saved.version = managed_by, saved.version + 1
    saved.changed_at, saved.changed_by = now, actor.name
    saved.save()
    audit_record(
        actor=actor, action="healing_target.save", object_type=_OBJECT, object_id=draft.service,
        before=before, after=after,
    )  # fmt: skip
    return saved, True


def target_delete(
    *, service: str, if_match: int | None = None, actor: Actor, now: datetime
) -> None:
    """Forget how a service is reached. Raises `NotFound` and `Conflict`."""
    with (
        refusals_audited(
            actor=actor, action="healing_target.delete", object_type=_OBJECT, object_id=service
        ),
        transaction.atomic(),
    ):
        row = HealingTarget.objects.select_for_update().filter(service=service).first()
        if row is None:
            raise NotFound(f"Nothing says how {printable(service[:100])} is healed.")
        _match_require(row, if_match, {})
        audit_record(
            actor=actor, action="healing_target.delete", object_type=_OBJECT, object_id=service,
            before=target_shown(row),
        )  # fmt: skip
        row.delete()


def target_shown(row: HealingTarget) -> dict[str, Any]:
    """What people see of a target, its secrets masked."""
    return {"group": row.group, "ways": row.ways}


def _match_require(
    row: HealingTarget | None, if_match: int | None, proposed: Mapping[str, Any]
) -> None:
    version = 0 if row is None else row.version
    if if_match is not None and if_match != version:
        raise Conflict(
            "The target was changed since"
            + (f" by {row.changed_by}: it is at version {version}." if row else ": it is gone."),
            current={} if row is None else {**target_shown(row), "version": version},
            proposed=dict(proposed),
        )


def _former(row: HealingTarget | None) -> dict[str, Any]:
    """The whole ways of a target; nothing where they were sealed with another SECRET_KEY."""
    if row is None:
        return {}
    try:
        return ways_opened(row.sealed_ways)
    except UnsealError:
        return {}
