"""In-process healing: a command to the handler that a service registered for it.

It goes down the service's control document, and what the instances report of it is what the act
came to.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from breakers.choices import CommandOutcome
from breakers.models import Command, CommandReport, Instance
from breakers.services.commands import RESET, command_finish, command_issue
from breakers.services.documents import editing
from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.steering import (
    HEALER,
    living,
    reason_of,
    refusals,
    service_of,
    waited,
)
from health.checks.options import OptionError

ONE, ALL = "one", "all"
_VARIABLES: Final = (
    ("restart", "auto_restart_enabled"),
    ("pool", "connection_pool_healing_enabled"),
    ("connection", "connection_pool_healing_enabled"),
    ("cache", "cache_warming_on_failure"),
    ("warm", "cache_warming_on_failure"),
)
_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class InProcessParameters:
    """`command` is the name that the handler was registered by, `parameters` are handed to it.

    `instance` is `one` (that which has run longest), `all` or the name of one. After a command
    whose name begins with `restart`, the instance must report anew. Without `service`: the target's.
    """

    command: str
    instance: str = ONE
    parameters: Mapping[str, Any] = field(default_factory=dict)
    service: str = ""


@action("in_process", "Heal inside the service")
class InProcess(Action[InProcessParameters]):
    """Handlers mend and do not break: what they did is left. The command is known by its id, so
    that one whose worker died is not given twice."""

    Parameters = InProcessParameters
    public = frozenset({"command", "parameters"})
    safe_to_leave = True

    def validate(self, parameters: InProcessParameters) -> None:
        if len(parameters.command) > _LONGEST_NAME:
            raise OptionError("command", f"has at most {_LONGEST_NAME} characters")
        if parameters.command == RESET:
            raise OptionError("command", f"may not be {RESET}: breaker_reset does that, by a proof")
        if not parameters.instance:
            raise OptionError("instance", "must be one, all or the name of an instance")

    def variable_of(self, parameters: Mapping[str, Any]) -> str:
        command = str(parameters.get("command", ""))
        return next((variable for word, variable in _VARIABLES if word in command), "")

    def effect(self, parameters: InProcessParameters, context: Context) -> str:
        names = ", ".join(each.instance for each in _instances(parameters, context))
        service = service_of(parameters.service, context)
        return f"Has {service} run its {parameters.command} in {names}"

    def observe(self, parameters: InProcessParameters, context: Context) -> dict[str, Any]:
        found = _instances(parameters, context)
        return {
            "command": str(uuid.uuid4()),
            "instances": {
                each.instance: each.started_at and each.started_at.isoformat() for each in found
            },
        }

    def act(self, parameters: InProcessParameters, context: Context) -> Done:
        service = service_of(parameters.service, context)
        known = context.before.get("instances") or self.observe(parameters, context)["instances"]
        # One handler for all that live; one command for the one that is meant.
        only = "" if parameters.instance == ALL else next(iter(known))
        now = context.now()
        with refusals(), editing([service], now):
            command = command_issue(
                service=service,
                instance=only,
                action=parameters.command,
                parameters=parameters.parameters,
                reason=reason_of(context),
                actor=HEALER,
                lifetime=timedelta(seconds=max(1.0, context.left)),
                now=now,
                command_id=_unused(context.before.get("command")),
            )
        reports = waited(lambda: _complete(command.id, known), context)
        if reports is None:
            # Nobody shall still do it when nobody waits for it any more.
            command_finish(command_id=command.id, now=max(context.now(), now + _lifetime(command)))
            raise _silent(command, known)
        _require_success(parameters, reports)
        lines = [_line(each) for each in reports]
        if _restarts(parameters):
            lines.append(_begun_anew(service, known, context))
        return Done("\n".join(lines), {"command": str(command.id)})

    def finished(self, parameters: InProcessParameters, context: Context) -> bool | None:
        given = context.before.get("command")
        command = Command.objects.filter(pk=UUID(given)).first() if given else None
        if command is None:
            return False
        known = context.before["instances"]
        reports = _complete(command.id, known)
        if reports is None and command.expires_at and command.expires_at > context.now():
            reports = waited(lambda: _complete(command.id, known), context)
        if reports is None:
            return None
        return all(each.outcome == CommandOutcome.SUCCEEDED for each in reports)


def _restarts(parameters: InProcessParameters) -> bool:
    """Whether the command ends the process that carries it out."""
    return parameters.command.startswith("restart")


def _lifetime(command: Command) -> timedelta:
    """How long a command is in force; one without an end was given no time at all."""
    return command.expires_at - command.created_at if command.expires_at else timedelta()


def _instances(parameters: InProcessParameters, context: Context) -> list[Instance]:
    """The instances that are meant. Raises `ActionFailed` where none of them reports."""
    service = service_of(parameters.service, context)
    found = living(service, context)
    if parameters.instance not in (ONE, ALL):
        found = [each for each in found if each.instance == parameters.instance]
        if not found:
            raise ActionFailed(f"The instance {parameters.instance} of {service} does not report")
    if not found:
        raise ActionFailed(f"No instance of {service} reports, so none can be told anything")
    return found if parameters.instance == ALL else found[:1]


def _unused(given: Any) -> UUID:
    """The id that was noted before the act; a further attempt has one of its own."""
    noted = UUID(given) if given else uuid.uuid4()
    return uuid.uuid4() if Command.objects.filter(pk=noted).exists() else noted


def _complete(command_id: UUID, known: Mapping[str, Any]) -> list[CommandReport] | None:
    """The reports, once all that are meant have reported."""
    reports = list(CommandReport.objects.filter(command_id=command_id, instance__in=list(known)))
    return reports if len(reports) == len(known) else None


def _require_success(parameters: InProcessParameters, reports: Sequence[CommandReport]) -> None:
    failed = [each for each in reports if each.outcome != CommandOutcome.SUCCEEDED]
    if not failed:
        return
    output = "\n".join(_line(each) for each in reports)
    unknown = all(each.outcome == CommandOutcome.UNKNOWN_ACTION for each in failed)
    if unknown:
        raise ActionFailed(
            f"{failed[0].instance} has no handler for {parameters.command}",
            permanent=True,
            output=output,
        )
    raise ActionFailed(f"{parameters.command} failed in {_line(failed[0])}", output=output)


def _silent(command: Command, known: Mapping[str, Any]) -> ActionFailed:
    reports = list(command.reports.all())
    missing = sorted(set(known) - {each.instance for each in reports})
    return ActionFailed(
        f"{', '.join(missing)} did not report {command.action} within "
        f"{_lifetime(command).total_seconds():.0f} s",
        output="\n".join(_line(each) for each in reports),
    )


def _begun_anew(service: str, known: Mapping[str, Any], context: Context) -> str:
    """Wait until each process reports a later start than before. Raises `ActionFailed`."""
    names = list(known)

    def anew() -> list[Instance] | None:
        rows = Instance.objects.filter(service=service, instance__in=names)
        found = [each for each in rows if _is_newer(each.started_at, known[each.instance])]
        return found if len(found) == len(names) else None

    found = waited(anew, context)
    if found is None:
        raise ActionFailed(f"{', '.join(names)} did not come back in time")
    return f"{', '.join(names)} came back"


def _is_newer(started: datetime | None, before: str | None) -> bool:
    if started is None:
        return False
    # Clocks of the same process may differ by a little between two tellings.
    return before is None or started > datetime.fromisoformat(before) + timedelta(seconds=1)


def _line(report: CommandReport) -> str:
    words = f": {report.output}" if report.output else ""
    return f"{report.instance}: {report.outcome}{words}"
