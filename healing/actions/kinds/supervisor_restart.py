"""Restarts a program of supervisord: all copies one after the other, or one of them by name.

A process that ignores its stop signal, or is stopped by SIGSTOP and cannot take it, is killed after
`grace_seconds`. KILL reaches the process alone; where children of it must go too, `killasgroup` and
a short `stopwaitsecs` in supervisord's configuration do that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.link import Server
from healing.actions.supervisorlink import (
    ALREADY_STARTED,
    NOT_RUNNING,
    Fault,
    Process,
    Supervisor,
    supervisor_server,
)
from health.checks.options import OptionError, require_range

_LOOK_SECONDS: Final = 0.1
# After KILL a process ends at once, unless it hangs in the kernel.
_KILLED_SECONDS: Final = 5.0
_LONGEST_NAME: Final = 200


@dataclass(frozen=True)
class SupervisorRestart:
    """Parameters. `server` is `unix:///path/of/supervisor.sock`, or the URL of its HTTP port.

    `program` is the name of a program (or group); `process` one copy of it by name; without it all
    copies are restarted, one after the other. `grace_seconds` is how long a process has to end by
    its stop signal before it is killed, `start_seconds` how long it may take until it runs.
    """

    server: str
    program: str
    process: str = ""
    username: str = ""
    password: str = ""
    grace_seconds: float = 5.0
    start_seconds: float = 30.0


@action("supervisor_restart", "Restart a program of supervisord")
class SupervisorRestartAction(Action[SupervisorRestart]):
    Parameters = SupervisorRestart
    secrets = frozenset({"password"})
    safe_to_leave = True
    variable = "auto_restart_enabled"

    def validate(self, parameters: SupervisorRestart) -> None:
        _server(parameters)
        for option in ("program", "process"):
            name = getattr(parameters, option)
            if len(name) > _LONGEST_NAME or not name.isprintable() or set(name) & set(":*"):
                raise OptionError(
                    option, f"must be a name of at most {_LONGEST_NAME} characters, without : or *"
                )
        if bool(parameters.username) != bool(parameters.password):
            raise OptionError("password", "belongs to a username, and the other way round")
        require_range("grace_seconds", parameters.grace_seconds, 0, 300)
        require_range("start_seconds", parameters.start_seconds, 1, 600)

    def hosts(self, parameters: SupervisorRestart) -> tuple[tuple[str, int], ...]:
        return (_server(parameters).host,)

    def effect(self, parameters: SupervisorRestart, context: Context) -> str:
        found = _meant(_supervisor(parameters, context), parameters)
        names = ", then ".join(each.told() for each in found)
        return (
            f"Would restart {names} at {_server(parameters).where}; what has not ended"
            f" {parameters.grace_seconds:g} s after its stop signal would be killed"
        )

    def observe(self, parameters: SupervisorRestart, context: Context) -> dict[str, Any]:
        found = _meant(_supervisor(parameters, context), parameters)
        return {"processes": {each.full_name: each.kept() for each in found}}

    def act(self, parameters: SupervisorRestart, context: Context) -> Done:
        supervisor = _supervisor(parameters, context)
        lines, after = [], {}
        for process in _meant(supervisor, parameters):
            restart = _Restart(supervisor, parameters, context, process)
            killed = restart.stop()
            new = restart.start()
            how = f"killed after {parameters.grace_seconds:g} s" if killed else "stopped"
            was = f"{how}, pid {process.pid}" if process.pid else f"was {process.state}"
            lines.append(f"{process.full_name}: {was}; runs again with pid {new.pid}")
            after[new.full_name] = new.kept()
        return Done("\n".join(lines), {"processes": after})

    def finished(self, parameters: SupervisorRestart, context: Context) -> bool | None:
        before = context.before.get("processes")
        if not before:
            return None
        supervisor = _supervisor(parameters, context)
        return all(_renewed(supervisor, context, name, was) for name, was in before.items())


class _Restart:
    """One process on its way down and up again."""

    def __init__(
        self,
        supervisor: Supervisor,
        parameters: SupervisorRestart,
        context: Context,
        process: Process,
    ) -> None:
        self._supervisor = supervisor
        self._parameters = parameters
        self._context = context
        self._process = process

    def stop(self) -> bool:
        """End the process; whether it had to be killed."""
        name = self._process.full_name
        if not (self._process.stoppable or self._process.stopping):
            return False
        if self._process.stoppable:
            _tolerating(NOT_RUNNING, self._supervisor.stop, name)
        if self._ended(self._parameters.grace_seconds):
            return False
        _tolerating(NOT_RUNNING, self._supervisor.kill, name)
        if not self._ended(_KILLED_SECONDS):
            raise ActionFailed(f"{name} still runs {_KILLED_SECONDS:g} s after it was killed")
        return True

    def start(self) -> Process:
        """Start the process, and wait until supervisord counts it as running."""
        name = self._process.full_name
        try:
            _tolerating(ALREADY_STARTED, self._supervisor.start, name)
        except Fault as fault:
            raise self._not_started(f"{name} cannot be started: {fault.output}") from None
        until = self._context.clock() + self._parameters.start_seconds
        while True:
            now = self._supervisor.process(name)
            if now.running and _is_new(now, self._process.kept()):
                return now
            if not (now.running or now.starting):
                raise self._not_started(f"{now.told()} did not start: {now.why}")
            if self._context.clock() >= until or not self._context.left:
                raise self._not_started(
                    f"{now.told()} did not run within {self._parameters.start_seconds:g} s"
                )
            self._context.pause(_LOOK_SECONDS)

    def _ended(self, seconds: float) -> bool:
        until = self._context.clock() + seconds
        while True:
            now = self._supervisor.process(self._process.full_name)
            if not (now.stopping or now.stoppable):
                return True
            if self._context.clock() >= until:
                return False
            if not self._context.left:
                raise ActionFailed(f"{now.told()} has not ended within the time of the step")
            self._context.pause(_LOOK_SECONDS)

    def _not_started(self, text: str) -> ActionFailed:
        return ActionFailed(text, output=self._supervisor.last_words(self._process.full_name))


def _server(parameters: SupervisorRestart) -> Server:
    return supervisor_server("server", parameters.server, parameters.username, parameters.password)


def _supervisor(parameters: SupervisorRestart, context: Context) -> Supervisor:
    return Supervisor(_server(parameters), context)


def _meant(supervisor: Supervisor, parameters: SupervisorRestart) -> list[Process]:
    """The processes to restart, those that do not run first. Raises `ActionFailed`."""
    group = [each for each in supervisor.processes() if each.group == parameters.program]
    if not group:
        raise ActionFailed(
            f"supervisord at {supervisor.where} has no program {parameters.program}", permanent=True
        )
    found = [each for each in group if parameters.process in ("", each.name)]
    if not found:
        names = ", ".join(each.name for each in group)
        raise ActionFailed(
            f"{parameters.program} has no process {parameters.process}, only {names}",
            permanent=True,
        )
    return sorted(found, key=lambda each: (each.running, each.name))


def _renewed(supervisor: Supervisor, context: Context, name: str, was: dict[str, Any]) -> bool:
    """Whether a process runs as another instance than `was`, once it has settled."""
    while True:
        now = supervisor.process(name)
        if not (now.starting or now.stopping) or not context.left:
            return now.running and _is_new(now, was)
        context.pause(_LOOK_SECONDS)


def _is_new(now: Process, was: dict[str, Any]) -> bool:
    return (now.pid, now.start) != (was.get("pid"), was.get("start"))


def _tolerating(code: int, call: Callable[[str], None], name: str) -> None:
    try:
        call(name)
    except Fault as fault:
        if fault.code != code:
            raise
