"""Commands: what instances are to do once, sent down the control document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from breakers.choices import CommandOutcome, Ending
from breakers.domain.keys import breaker_key
from breakers.models import Command, CommandReport, Instance
from breakers.services.documents import editing
from breakers.services.overrides import override_end
from breakers.services.requests import operator_needed, reason_checked
from breakers.services.targets import (
    Target,
    target_catch_up,
    target_check,
    target_places,
    target_services,
)
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Role

RESET = "reset_breaker"
# What a breaker that was reset starts from.
RESET_STATE = "closed"
# An instance that does not hear of a command for so long does not carry it out any more.
LIFETIME = timedelta(minutes=5)
MAX_OUTPUT = 4_000
# One that has been silent for longer is not waited for.
_SILENT = timedelta(seconds=45)


def breaker_reset(
    *,
    target: Target,
    reason: Any,
    actor: Actor,
    role: Role | None,
    if_match: int | None = None,
    now: datetime | None = None,
) -> list[Command]:
    """Have breakers start anew from closed, nothing remembered; an override at the same place
    ends. One command for each breaker that the place means.

    Raises `Forbidden`, `NotFound`, `Invalid` and `Conflict`; refusals are in the audit trail.
    """
    now = now or datetime.now(UTC)
    action = f"{target.object_type}.reset"
    with refusals_audited(
        actor=actor, action=action, object_type=target.object_type, object_id=target.object_id
    ):
        operator_needed(role)
        services = target_services(target)
        why = reason_checked(reason)
        proposed = {"state": RESET_STATE, "instance": target.instance, "reason": why}
        with editing(services, now) as work:
            target_check(work, target, if_match, proposed)
            before = override_end(target, actor.name, Ending.REVERTED, now)
            commands = [
                command_issue(
                    service=service,
                    instance=target.instance,
                    action=RESET,
                    parameters={"breaker": name},
                    reason=why,
                    actor=actor,
                    now=now,
                )
                for service, name in target_places(target)
            ]
            audit_record(
                actor=actor,
                action=action,
                object_type=target.object_type,
                object_id=target.object_id,
                reason=why,
                before={"state": before.state} if before else None,
                after={"state": RESET_STATE, "instance": target.instance or None},
            )
            work.tell(*(_reset_told(command) for command in commands))
        target_catch_up(target, services, now)
    return commands


def _reset_told(command: Command) -> journal.Entry:
    name = command.parameters["breaker"]
    return journal.Entry(
        "breakers",
        "breaker.reset",
        breaker_key(command.service, name),
        service=command.service,
        payload={"name": name, "actor": command.actor, "reason": command.reason},
    )


def command_issue(
    *,
    service: str,
    action: str,
    parameters: Mapping[str, Any],
    reason: str,
    actor: Actor,
    instance: str = "",
    lifetime: timedelta = LIFETIME,
    now: datetime,
    command_id: UUID | None = None,
) -> Command:
    """Put a command into the document of a service; the caller holds that (`editing`).

    By `command_id` a caller that noted it before can find out later whether it was given.
    """
    return Command.objects.create(
        id=command_id or uuid4(),
        service=service,
        instance=instance,
        action=action,
        parameters=dict(parameters),
        reason=reason,
        actor=actor.name,
        created_at=now,
        expires_at=now + lifetime,
    )


def command_report(
    *, command_id: UUID, service: str, instance: str, outcome: str, output: str, at: datetime
) -> bool:
    """Note what an instance reported of a command of its service; whether that was new.

    Runs in a transaction of its caller, who then calls `command_finish`.
    """
    command = Command.objects.filter(pk=command_id, service=service).first()
    if command is None or command.instance not in ("", instance):
        return False
    # One that the site does not know (any more) had nothing to carry out, nor may it fill a table.
    if not Instance.objects.filter(service=service, instance=instance).exists():
        return False
    if outcome not in CommandOutcome.values:
        outcome = CommandOutcome.FAILED
    _, new = CommandReport.objects.get_or_create(
        command=command,
        instance=instance,
        defaults={"outcome": outcome, "output": output[:MAX_OUTPUT], "at": at},
    )
    return new


def command_finish(*, command_id: UUID, now: datetime) -> bool:
    """Take a command out of the document where its time is over, or every instance that it is for
    and that lives has reported; whether this call did it."""
    command = Command.objects.filter(pk=command_id).first()
    if command is None:
        return False
    with editing([command.service], now):
        open_ = Command.objects.filter(pk=command_id, ended_at=None).first()
        if open_ is None or not (_is_over(open_, now) or _is_done(open_, now)):
            return False
        open_.ended_at = now
        open_.save(update_fields=["ended_at"])
    return True


def _is_over(command: Command, now: datetime) -> bool:
    return command.expires_at is not None and command.expires_at <= now


def _is_done(command: Command, now: datetime) -> bool:
    reported = set(command.reports.values_list("instance", flat=True))
    if command.instance:
        return command.instance in reported
    living = Instance.objects.filter(service=command.service, last_seen__gte=now - _SILENT)
    expected = set(living.values_list("instance", flat=True))
    return bool(reported) and expected <= reported
