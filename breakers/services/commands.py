"""Commands: what instances are to do once, sent down the control document."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
from resilience_site.core.problems import Invalid

RESET = "reset_breaker"
# What a breaker that was reset starts from.
RESET_STATE = "closed"
# An instance that does not hear of a command for so long does not carry it out any more.
LIFETIME = timedelta(minutes=5)
MAX_OUTPUT = 4_000
# Each is an entry of a document, and a client takes 1,000 of them.
MOST_RESET = 200
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
        _few_checked(target)
        proposed = {"state": RESET_STATE, "instance": target.instance, "reason": why}
        with editing(services, now) as work:
            target_check(work, target, if_match, proposed)
            before = override_end(target, actor.name, Ending.REVERTED, now)
            commands = [
                _command(
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
            Command.objects.bulk_create(commands)
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


def _few_checked(target: Target) -> None:
    """Raise `Invalid` for a domain of more breakers than are reset at once."""
    count = len(target_places(target))
    if count > MOST_RESET:
        raise Invalid(
            f"The failure domain {target.domain} has {count:,} breakers, and {MOST_RESET} at most "
            "are reset at once; nothing was reset. Reset single breakers by their service and "
            "name, or a smaller domain."
        )


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
    command = _command(
        service=service,
        instance=instance,
        action=action,
        parameters=parameters,
        reason=reason,
        actor=actor,
        lifetime=lifetime,
        now=now,
        command_id=command_id,
    )
    command.save(force_insert=True)
    return command


def _command(
    *,
    service: str,
    instance: str,
    action: str,
    parameters: Mapping[str, Any],
    reason: str,
    actor: Actor,
    lifetime: timedelta = LIFETIME,
    now: datetime,
    command_id: UUID | None = None,
) -> Command:
    """One that is not in the store yet."""
    return Command(
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

    Runs in a transaction of its caller, who then calls `commands_finish`.
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
    """The same as `commands_finish`, of one."""
    return commands_finish(command_ids=[command_id], now=now) == 1


def commands_finish(*, command_ids: Collection[UUID], now: datetime) -> int:
    """Take commands out of their documents where their time is over, or every instance that they
    are for and that lives has reported; how many this call took out.

    A document is written once, however many it loses.
    """
    named = Command.objects.filter(pk__in=command_ids, ended_at=None)
    by_service: dict[str, list[UUID]] = {}
    for pk, service in named.values_list("pk", "service"):
        by_service.setdefault(service, []).append(pk)
    return sum(_finish(service, by_service[service], now) for service in sorted(by_service))


def _finish(service: str, command_ids: Collection[UUID], now: datetime) -> int:
    with editing([service], now):
        open_ = list(Command.objects.filter(pk__in=command_ids, ended_at=None))
        reported: dict[UUID, set[str]] = {each.pk: set() for each in open_}
        reports = CommandReport.objects.filter(command__in=list(reported))
        for pk, instance in reports.values_list("command", "instance"):
            reported[pk].add(instance)
        rows = Instance.objects.filter(service=service, last_seen__gte=now - _SILENT)
        living = set(rows.values_list("instance", flat=True))
        ended = [
            each.pk
            for each in open_
            if _is_over(each, now) or _is_done(each, reported[each.pk], living)
        ]
        return Command.objects.filter(pk__in=ended).update(ended_at=now)


def _is_over(command: Command, now: datetime) -> bool:
    return command.expires_at is not None and command.expires_at <= now


def _is_done(command: Command, reported: set[str], living: set[str]) -> bool:
    if command.instance:
        return command.instance in reported
    return bool(reported) and living <= reported
