"""Restarts a container of Docker (or Podman): by its name, or those that carry a label, one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.dockerlink import Container, Docker
from healing.actions.link import NoAnswer, Server, client_tls, server_at
from health.checks.options import OptionError, require_range

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")
_LONGEST_LABEL: Final = 1_000
_LOOK_SECONDS: Final = 0.2
# What ends at once has not started; supervisors of processes wait as long by default.
_STEADY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class DockerRestart:
    """Parameters. `server` is `unix:///path/of/docker.sock`, or `https://host:2376` with `ca`, and
    `certificate` and `key` of our own (PEM).

    `container` is a name or an id; `label` (`key` or `key=value`) means the containers that carry it,
    of which at most `most` are restarted, one after the other: first those that do not run, then
    those whose health check fails, then those that run longest. `grace_seconds` is how long a
    container has to stop before it is killed (whole seconds), `ready_seconds` how long it may take
    until it runs and its health check, where it has one, passes.
    """

    server: str = "unix:///var/run/docker.sock"
    container: str = ""
    label: str = ""
    most: int = 1
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    grace_seconds: float = 5.0
    ready_seconds: float = 30.0


@action("docker_restart", "Restart a container")
class DockerRestartAction(Action[DockerRestart]):
    Parameters = DockerRestart
    secrets = frozenset({"key"})
    safe_to_leave = True
    variable = "auto_restart_enabled"

    def validate(self, parameters: DockerRestart) -> None:
        _server(parameters)
        if bool(parameters.container) == bool(parameters.label):
            raise OptionError("container", "or a label must be given, and not both")
        if parameters.container and not _NAME.fullmatch(parameters.container):
            raise OptionError("container", "must be the name or the id of a container")
        if len(parameters.label) > _LONGEST_LABEL or not parameters.label.isprintable():
            raise OptionError("label", f"must have at most {_LONGEST_LABEL} printable characters")
        if bool(parameters.certificate) != bool(parameters.key):
            raise OptionError("certificate", "belongs to a key, and the other way round")
        require_range("most", parameters.most, 1, 100)
        require_range("grace_seconds", parameters.grace_seconds, 0, 300)
        require_range("ready_seconds", parameters.ready_seconds, 1, 600)

    def hosts(self, parameters: DockerRestart) -> tuple[tuple[str, int], ...]:
        return (_server(parameters).host,)

    def effect(self, parameters: DockerRestart, context: Context) -> str:
        names = ", then ".join(each.told() for each in _meant(parameters, context))
        return (
            f"Would restart {names} at {_server(parameters).where}; what has not stopped after"
            f" {parameters.grace_seconds:g} s would be killed"
        )

    def observe(self, parameters: DockerRestart, context: Context) -> dict[str, Any]:
        return {"containers": {each.id: each.kept() for each in _meant(parameters, context)}}

    def act(self, parameters: DockerRestart, context: Context) -> Done:
        docker = Docker(_server(parameters), context)
        lines, after = [], {}
        for container in _meant(parameters, context):
            new = _restarted(docker, container, parameters, context)
            health = f", {new.health}" if new.health else ""
            lines.append(
                f"{container.name} ({container.id[:12]}): {container.state}, pid {container.pid}"
                f" → {new.state} since {new.started_at}, pid {new.pid}{health}"
            )
            after[new.id] = new.kept()
        return Done("\n".join(lines), {"containers": after})

    def finished(self, parameters: DockerRestart, context: Context) -> bool | None:
        before = context.before.get("containers")
        if not before:
            return None
        docker = Docker(_server(parameters), context)
        until = context.clock() + parameters.grace_seconds + _STEADY_SECONDS
        return all(_renewed(docker, each, was, context, until) for each, was in before.items())


def _server(parameters: DockerRestart) -> Server:
    server = server_at("server", parameters.server)
    tls = client_tls(ca=parameters.ca, certificate=parameters.certificate, key=parameters.key)
    return replace(server, tls=tls)


def _meant(parameters: DockerRestart, context: Context) -> list[Container]:
    """The containers to restart, the worst first. Raises `ActionFailed`."""
    docker = Docker(_server(parameters), context)
    if parameters.container:
        return [docker.container(parameters.container)]
    found = docker.labelled(parameters.label)
    if not found:
        raise ActionFailed(
            f"No container at {docker.where} has the label {parameters.label}", permanent=True
        )
    return sorted(found, key=_soundness)[: parameters.most]


def _soundness(container: Container) -> tuple[bool, bool, str, str]:
    return (
        container.running,
        container.health != "unhealthy",
        container.started_at,
        container.name,
    )


def _restarted(
    docker: Docker, container: Container, parameters: DockerRestart, context: Context
) -> Container:
    """The new instance. It is named by its id: its name may have gone to another one meanwhile."""
    lost: NoAnswer | None = None
    try:
        docker.restart(container.id, parameters.grace_seconds)
    except NoAnswer as error:
        # The engine may do it all the same, and then it is seen.
        lost = error
    until = context.clock() + parameters.ready_seconds
    began, steady = "", 0.0
    while True:
        now = docker.container(container.id)
        if now.started_at != began:
            began, steady = now.started_at, context.clock() + _STEADY_SECONDS
        ready = _is_new(now, container.kept()) and now.health in ("", "healthy")
        if ready and context.clock() >= steady:
            return now
        if context.clock() >= until or not context.left:
            raise lost or _not_ready(docker, now, container, parameters)
        context.pause(_LOOK_SECONDS)


def _not_ready(
    docker: Docker, now: Container, container: Container, parameters: DockerRestart
) -> ActionFailed:
    if not now.running:
        text = f"{now.name} is {now.state} with exit code {now.exit_code}"
    elif now.started_at == container.started_at:
        text = f"{now.told()} is still the old instance"
    else:
        text = f"{now.told()} runs, but its health check does not pass"
    return ActionFailed(
        f"{text}, {parameters.ready_seconds:g} s after its restart",
        output=docker.last_words(now.id),
    )


def _renewed(
    docker: Docker, identity: str, was: Mapping[str, Any], context: Context, until: float
) -> bool:
    """Whether a container runs as another instance; one that is just down has until `until`."""
    while True:
        now = docker.container(identity)
        if now.running or context.clock() >= until or not context.left:
            return _is_new(now, was)
        context.pause(_LOOK_SECONDS)


def _is_new(now: Container, was: Mapping[str, Any]) -> bool:
    return now.running and now.started_at != was.get("started_at")
