"""Restarts a service of systemd over D-Bus; only one that RESILIENCE_HEALING_UNITS lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.link import server_at
from healing.actions.systemdlink import Systemd, Unit
from health.checks.options import OptionError, require_range
from health.checks.reaching import LOCAL
from resilience_site.config import config

_UNIT: Final = re.compile(r"[A-Za-z0-9:_.@\\-]{1,240}\.service")
_LOOK_SECONDS: Final = 0.1
# What ends at once has not started.
_STEADY_SECONDS: Final = 1.0
_KILLED_SECONDS: Final = 10.0


@dataclass(frozen=True)
class SystemdRestart:
    """Parameters. `unit` is a service, `bus` the socket of the bus that systemd is on.

    `grace_seconds` is how long it has to stop before every process of it is killed, if that is
    sooner than its own TimeoutStopSec; `ready_seconds` how long it may take until it is active.
    """

    unit: str
    bus: str = "unix:///run/dbus/system_bus_socket"
    grace_seconds: float = 5.0
    ready_seconds: float = 30.0


@action("systemd_restart", "Restart a service of systemd")
class SystemdRestartAction(Action[SystemdRestart]):
    Parameters = SystemdRestart
    safe_to_leave = True
    variable = "auto_restart_enabled"

    def validate(self, parameters: SystemdRestart) -> None:
        if not _UNIT.fullmatch(parameters.unit):
            raise OptionError("unit", "must be the whole name of a service, such as a.service")
        if not server_at("bus", parameters.bus).path:
            raise OptionError("bus", "must be a socket of this machine, as unix:///path")
        require_range("grace_seconds", parameters.grace_seconds, 0, 300)
        require_range("ready_seconds", parameters.ready_seconds, 1, 600)

    def hosts(self, parameters: SystemdRestart) -> tuple[tuple[str, int], ...]:
        return ((LOCAL, 0),)

    def effect(self, parameters: SystemdRestart, context: Context) -> str:
        with _systemd(parameters, context) as systemd:
            unit = systemd.unit(parameters.unit)
        return (
            f"Would restart {unit.told()}; what has not stopped after"
            f" {parameters.grace_seconds:g} s would be killed"
        )

    def observe(self, parameters: SystemdRestart, context: Context) -> dict[str, Any]:
        with _systemd(parameters, context) as systemd:
            return systemd.unit(parameters.unit).kept()

    def act(self, parameters: SystemdRestart, context: Context) -> Done:
        with _systemd(parameters, context) as systemd:
            was = systemd.unit(parameters.unit)
            killed = _restart(systemd, parameters, context)
            now = _up_again(systemd, was, parameters, context)
        how = f"killed after {parameters.grace_seconds:g} s, " if killed else ""
        return Done(f"{was.told()}: {how}restarted; now {now.told()}", now.kept())

    def finished(self, parameters: SystemdRestart, context: Context) -> bool | None:
        before = context.before
        if "invocation" not in before:
            return None
        with _systemd(parameters, context) as systemd:
            while True:
                now = systemd.unit(parameters.unit)
                if now.settled or not context.left:
                    return now.running and now.invocation != before["invocation"]
                context.pause(_LOOK_SECONDS)


def _systemd(parameters: SystemdRestart, context: Context) -> Systemd:
    """systemd, where it may restart this unit. Raises `ActionFailed`."""
    allowed = config.resilience_healing_units
    if not any(fnmatchcase(parameters.unit, each) for each in allowed):
        listed = ", ".join(allowed) or "no service"
        raise ActionFailed(
            f"{parameters.unit} may not be restarted: RESILIENCE_HEALING_UNITS lists {listed}",
            permanent=True,
        )
    return Systemd(server_at("bus", parameters.bus).path, context)


def _restart(systemd: Systemd, parameters: SystemdRestart, context: Context) -> bool:
    """Have it restarted; whether it had to be killed for that."""
    job = systemd.restart(parameters.unit)
    killed = False
    result = systemd.job_result(job, min(parameters.grace_seconds, context.left))
    if not result and systemd.unit(parameters.unit).active == "deactivating":
        systemd.kill(parameters.unit)
        killed = True
        result = systemd.job_result(job, min(_KILLED_SECONDS, context.left))
    if not result:
        # It is on its way up, which may take longer.
        result = systemd.job_result(job, min(parameters.ready_seconds, context.left))
    if result != "done":
        unit = systemd.unit(parameters.unit)
        ended = f"ended as {result}" if result else "has not ended in time"
        raise ActionFailed(
            f"The restart of {parameters.unit} {ended}: {unit.told()}, result {unit.result}"
        )
    return killed


def _up_again(systemd: Systemd, was: Unit, parameters: SystemdRestart, context: Context) -> Unit:
    """The new instance, once it has run for a moment."""
    until = context.clock() + parameters.ready_seconds
    seen, steady = "", 0.0
    while True:
        now = systemd.unit(parameters.unit)
        if now.invocation != seen:
            seen, steady = now.invocation, context.clock() + _STEADY_SECONDS
        new = now.running and now.invocation != was.invocation
        if new and context.clock() >= steady:
            return now
        failed = now.active == "failed"
        if failed or context.clock() >= until or not context.left:
            raise ActionFailed(f"{now.told()} did not come up again, with the result {now.result}")
        context.pause(_LOOK_SECONDS)
