"""The kill switch: thrown by a person, or by the site for a group of which half is unhealthy.

A stop of the site stops automation only, and ends once less than half of the group fails. Where a
person ends it before, automation goes on for a while whatever else fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction

from breakers.services.requests import expiry_checked, operator_needed, reason_checked
from healing.domain.budgets import half_unhealthy
from healing.models import HealingSwitch, HealingTarget
from healing.selectors.situation import members_of, services_failing
from healing.selectors.switches import ALL, group_names, released_at, stopped_at
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role, Topic
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Conflict, Invalid, NotFound

_OBJECT: Final = "healing_switch"
# How long the site leaves automation alone that a person started again.
RELEASED_FOR: Final = timedelta(hours=1)


def switch_set(
    *,
    stopped: Any,
    reason: Any,
    actor: Actor,
    role: Role | None,
    group: Any = ALL,
    expires_in: Any = None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> HealingSwitch:
    """Stop or start healing, of a group or (empty) all of it; `expires_in` seconds end a stop.

    Raises `Forbidden`, `NotFound`, `Invalid` and `Conflict`; each refusal is in the audit trail.
    """
    now = now or datetime.now(UTC)
    with (
        refusals_audited(
            actor=actor,
            action="healing_switch.set",
            object_type=_OBJECT,
            object_id=_called(group),
        ),
        transaction.atomic(),
    ):
        operator_needed(role)
        why = reason_checked(reason)
        if not isinstance(stopped, bool):
            raise Invalid.field("body.stopped", "stopped must be true or false.")
        until = expiry_checked(expires_in, role, now, needed=False)
        if until is not None and not stopped:
            raise Invalid.field("body.expires_in", "Only a stop has an expiry.")
        row = _locked(_group_checked(group), now)
        _version_check(row, if_match, {"stopped": stopped, "reason": why})
        before = _shown(row)
        # What the site stopped, it would stop again at once.
        held = row.stopped_by_site and stopped_at(row, now)
        row.expires_at = until if stopped else (now + RELEASED_FOR if held else None)
        row.stopped, row.stopped_by_site = stopped, False
        _written(row, actor.name, why, now)
        audit_record(
            actor=actor,
            action="healing_switch.stop" if stopped else "healing_switch.start",
            object_type=_OBJECT,
            object_id=_called(row.group),
            reason=why,
            until=row.expires_at,
            before=before,
            after=_shown(row),
        )
        done = "stopped" if stopped else "started"
        text = f"{actor.name} {done} {_healing(row.group)}."
        journal.append([_entry(row, f"switch.{done}", text)])
    return row


def automation_stop(*, group: str, reason: str, now: datetime) -> bool:
    """Stop automation of a group because half of it is unhealthy; whether this call did it. What a
    person decided stays."""
    with transaction.atomic():
        row = _locked(group, now)
        if stopped_at(row, now) or released_at(row, now):
            return False
        row.stopped, row.stopped_by_site, row.expires_at = True, True, None
        _written(row, "healing", reason, now)
        _recorded(row, "stop")
        text = f"The site stopped {_healing(group)}: {reason}"
        journal.append(
            [_entry(row, "automation.stopped", text), _entry(row, "switch.stopped", text)]
        )
    return True


def switches_review(*, now: datetime) -> int:
    """End stops whose time is over, and those of the site whose group is well enough again; how
    many. Any number of callers may."""
    due = [each.group for each in HealingSwitch.objects.filter(stopped=True)]
    if not due:
        return 0
    failing = services_failing()
    groups = dict(HealingTarget.objects.values_list("service", "group"))
    return sum(_ended(group, members_of(group, groups, failing), failing, now) for group in due)


def _ended(group: str, members: Iterable[str], failing: dict[str, bool], now: datetime) -> bool:
    with transaction.atomic():
        row = _locked(group, now)
        counted = [failing.get(each, False) for each in members]
        half = half_unhealthy(sum(counted), len(counted), declared=group != ALL)
        well = row.stopped_by_site and not half
        if not row.stopped or (stopped_at(row, now) and not well):
            return False
        row.stopped, row.stopped_by_site, row.expires_at = False, False, None
        why = "Less than half of it fails by its own probes." if well else "Its time was over."
        _written(row, "healing", why, now)
        _recorded(row, "start")
        text = f"The site started {_healing(group)} again: {why}"
        journal.append([_entry(row, "switch.started", text)])
    return True


def _locked(group: str, now: datetime) -> HealingSwitch:
    """The row of a group, held to the end of the transaction."""
    HealingSwitch.objects.get_or_create(group=group, defaults={"changed_at": now})
    return HealingSwitch.objects.select_for_update().get(group=group)


def _written(row: HealingSwitch, by: str, reason: str, now: datetime) -> None:
    row.actor, row.reason, row.changed_at = by, reason, now
    row.version += 1
    row.save()


def _recorded(row: HealingSwitch, verb: str) -> None:
    audit_record(
        actor=Actor.system("healing"),
        action=f"healing_switch.{verb}",
        object_type=_OBJECT,
        object_id=_called(row.group),
        reason=row.reason,
        after=_shown(row),
    )


def _group_checked(group: Any) -> str:
    known = group_names()
    if not isinstance(group, str) or (group != ALL and group not in known):
        raise NotFound(f"There is no group {_called(group)} of targets.", allowed=known)
    return group


def _version_check(row: HealingSwitch, if_match: int | None, proposed: dict[str, Any]) -> None:
    if if_match is not None and if_match != row.version:
        raise Conflict(
            "Somebody else changed the switch meanwhile.", current=_shown(row), proposed=proposed
        )


def _called(group: Any) -> str:
    return printable(str(group)[:100]) or "all"


def _healing(group: str) -> str:
    return f"healing of the group {group}" if group else "all healing"


def _shown(row: HealingSwitch) -> dict[str, Any]:
    return {
        "group": row.group,
        "stopped": row.stopped,
        "stopped_by_site": row.stopped_by_site,
        "reason": row.reason,
        "actor": row.actor,
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "version": row.version,
    }


def _entry(row: HealingSwitch, kind: str, text: str) -> journal.Entry:
    state = "stopped" if row.stopped else "started"
    payload = {
        "group": row.group,
        "text": text,
        "reason": row.reason,
        "state": state,
        "actor": row.actor,
        "link": "/healing",
    }
    return journal.Entry(Topic.HEALING, kind, _called(row.group), state, "", payload)
