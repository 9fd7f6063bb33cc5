"""Degraded modes: the level that a service runs at, and what its users are told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from breakers.choices import Ending, Level
from breakers.models import DegradedMode, Notice
from breakers.selectors.names import service_check
from breakers.services.documents import Editing, editing
from breakers.services.requests import (
    choice_checked,
    expiry_checked,
    operator_needed,
    reason_checked,
    text_checked,
)
from health.models import Service
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role
from resilience_site.core.problems import Conflict

MAX_NOTICE = 500
# Users do not know the names that services have among their makers.
_NAMELESS = "This service"
_NOTICES = {
    Level.REDUCED: "{} is under strain: some extras are switched off for now.",
    Level.ESSENTIAL: "{} is degraded: only its most important functions work for now.",
    Level.OFFLINE: "{} is unavailable at the moment. We are working on it.",
}


def notice_default(service: str, level: str) -> str:
    """What users are told where nobody wrote a notice."""
    named = Service.objects.filter(name=service).values_list("public_name", flat=True).first()
    return _NOTICES[Level(level)].format(named or _NAMELESS)


def degraded_set(
    *,
    service: str,
    level: Any,
    notice: Any = "",
    reason: Any,
    expires_in: Any = None,
    actor: Actor,
    role: Role | None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> DegradedMode:
    """Let a service run at a level, with a notice for its users; `normal` ends it.

    Without `expires_in` it lasts until it is set again. Raises `Forbidden`, `NotFound`, `Invalid`
    and `Conflict`; refusals are in the audit trail.
    """
    now = now or datetime.now(UTC)
    with refusals_audited(
        actor=actor, action="degraded.set", object_type="service", object_id=service
    ):
        operator_needed(role)
        service_check(service)
        level = choice_checked(level, Level.values, "level", "level")
        normal = level == Level.NORMAL
        why = reason_checked(reason, needed=not normal)
        text = text_checked(notice, "notice", MAX_NOTICE)
        until = None if normal else expiry_checked(expires_in, role, now, needed=False)
        if not text and not normal:
            text = notice_default(service, level)
        with editing([service], now) as work:
            mode = DegradedMode.objects.filter(service=service).first()
            _check(mode, if_match, {"level": level, "notice": text})
            before = _shown(mode) if mode else None
            if mode is None:
                mode = DegradedMode(service=service, version=0)
            mode.level, mode.notice = level, "" if normal else text
            mode.reason, mode.actor = why, actor.name
            mode.created_at, mode.expires_at = now, until
            _store(work, mode, before, actor, "degraded.set", why, now)
    return mode


def degraded_expire(*, service: str, now: datetime) -> bool:
    """Back to normal where the time of a level is over; whether this call did it."""
    with editing([service], now) as work:
        due = DegradedMode.objects.filter(service=service, expires_at__lte=now)
        mode = due.exclude(level=Level.NORMAL).first()
        if mode is None:
            return False
        before = _shown(mode)
        mode.level, mode.notice, mode.expires_at = Level.NORMAL, "", None
        mode.reason, mode.actor = "its time was over", "expiry"
        mode.created_at = now
        kind = f"degraded.{Ending.EXPIRED}"
        _store(work, mode, before, Actor.system("expiry"), kind, mode.reason, now)
    return True


def _store(
    work: Editing,
    mode: DegradedMode,
    before: dict[str, Any] | None,
    actor: Actor,
    kind: str,
    reason: str,
    now: datetime,
) -> None:
    mode.version += 1
    mode.save()
    _tell_users(mode, now)
    audit_record(
        actor=actor,
        action=kind,
        object_type="service",
        object_id=mode.service,
        reason=reason,
        until=mode.expires_at,
        before=before,
        after=_shown(mode),
    )
    payload = {"notice": mode.notice, "actor": actor.name, "reason": reason}
    work.tell(journal.Entry("degraded", kind, mode.service, str(mode.level), mode.service, payload))


def _tell_users(mode: DegradedMode, now: datetime) -> None:
    """Begin, change or end the public notice; each text that users saw stays in the history."""
    standing = Notice.objects.filter(service=mode.service, ended_at=None).first()
    if standing is not None:
        if (standing.level, standing.text) == (mode.level, mode.notice):
            return
        standing.ended_at = now
        standing.save(update_fields=["ended_at"])
    if mode.level != Level.NORMAL:
        Notice.objects.create(
            service=mode.service, level=mode.level, text=mode.notice, started_at=now
        )


def _check(mode: DegradedMode | None, if_match: int | None, proposed: dict[str, Any]) -> None:
    version = mode.version if mode else 0
    if if_match is not None and if_match != version:
        raise Conflict(
            f"The degraded mode has changed: it is at version {version}, and you saw {if_match}.",
            current={"version": version, **(_shown(mode) if mode else {"level": Level.NORMAL})},
            proposed=proposed,
        )


def _shown(mode: DegradedMode) -> dict[str, Any]:
    return {
        "level": str(mode.level),
        "notice": mode.notice,
        "reason": mode.reason,
        "actor": mode.actor,
        "expires_at": mode.expires_at and mode.expires_at.isoformat(),
    }
