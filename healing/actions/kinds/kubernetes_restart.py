"""Restarts a workload of Kubernetes as `kubectl rollout restart` does: pod by pod, by its own
controller, within the bounds that the workload has set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.kuberneteslink import (
    KINDS,
    Conflict,
    Kubernetes,
    Passing,
    Pod,
    Workload,
    kubernetes_server,
)
from health.checks.options import OptionError, require_range
from health.checks.weburl import require_headers

# A DNS label, and a DNS subdomain (RFC 1123).
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LOOK_SECONDS: Final = 0.5
_TRIES: Final = 5
_SHOWN: Final = 10


@dataclass(frozen=True)
class KubernetesRestart:
    """Parameters. `server` is the URL of the API server, with `token` and `ca` (PEM); without them
    it is the cluster that this site runs in, with its service account, which may then `get` and
    `patch` the workload and `list` pods.

    `kind` is deployment, statefulset or daemonset. `ready_seconds` is how long the rollout may take.
    """

    name: str
    namespace: str = "default"
    kind: str = "deployment"
    server: str = ""
    token: str = ""
    ca: str | None = None
    ready_seconds: float = 120.0


@action("kubernetes_restart", "Restart a workload of Kubernetes by a rollout")
class KubernetesRestartAction(Action[KubernetesRestart]):
    Parameters = KubernetesRestart
    secrets = frozenset({"token"})
    safe_to_leave = True
    variable = "auto_restart_enabled"

    def validate(self, parameters: KubernetesRestart) -> None:
        if not _NAME.fullmatch(parameters.name):
            raise OptionError("name", "must be the name of a workload")
        if not _NAMESPACE.fullmatch(parameters.namespace):
            raise OptionError("namespace", "must be the name of a namespace")
        if parameters.kind not in KINDS:
            raise OptionError("kind", f"must be one of {', '.join(KINDS)}")
        if bool(parameters.server) != bool(parameters.token):
            raise OptionError("token", "belongs to a server, and the other way round")
        require_headers("token", {"Authorization": parameters.token})
        require_range("ready_seconds", parameters.ready_seconds, 1, 600)
        kubernetes_server("server", parameters.server, parameters.token, parameters.ca)

    def hosts(self, parameters: KubernetesRestart) -> tuple[tuple[str, int], ...]:
        server = kubernetes_server("server", parameters.server, parameters.token, parameters.ca)
        return (server.host,)

    def effect(self, parameters: KubernetesRestart, context: Context) -> str:
        cluster = _cluster(parameters, context)
        workload = _restartable(cluster, parameters)
        pods = cluster.pods(workload.selector)
        names = ", ".join(each.told() for each in pods[:_SHOWN]) or "none"
        more = f" and {len(pods) - _SHOWN} more" if len(pods) > _SHOWN else ""
        return (
            f"Would replace the pods of {workload.told()} in namespace {parameters.namespace} at"
            f" {cluster.where}, as its own rollout does: {names}{more}"
        )

    def observe(self, parameters: KubernetesRestart, context: Context) -> dict[str, Any]:
        cluster = _cluster(parameters, context)
        workload = _restartable(cluster, parameters)
        return {
            "generation": workload.generation,
            "restarted_at": workload.restarted_at,
            "pods": {each.uid: each.name for each in cluster.pods(workload.selector)},
        }

    def act(self, parameters: KubernetesRestart, context: Context) -> Done:
        cluster = _cluster(parameters, context)
        was = _restartable(cluster, parameters)
        # Of an attempt that was cut off there may be new pods already.
        known = context.before.get("pods")
        old = set(known) if known else {each.uid for each in cluster.pods(was.selector)}
        asked = _asked(cluster, was, parameters, context)
        now = _rolled_out(cluster, asked, parameters, context)
        pods = cluster.pods(now.selector)
        new = [each for each in pods if each.uid not in old]
        return Done(_output(was, now, new, parameters), _after(now, pods))

    def finished(self, parameters: KubernetesRestart, context: Context) -> bool | None:
        if "generation" not in context.before:
            return None
        cluster = _cluster(parameters, context)
        workload = cluster.workload(parameters.kind, parameters.name)
        if workload.step != context.key or workload.generation <= context.before["generation"]:
            return False
        # It was asked for: what is left is to wait, and to ask again would replace pods twice.
        return _rolled_out(cluster, workload, parameters, context).rolled_out


def _cluster(parameters: KubernetesRestart, context: Context) -> Kubernetes:
    server = kubernetes_server("server", parameters.server, parameters.token, parameters.ca)
    return Kubernetes(server, parameters.namespace, context)


def _restartable(cluster: Kubernetes, parameters: KubernetesRestart) -> Workload:
    """The workload, where a rollout would replace its pods. Raises `ActionFailed`."""
    found = cluster.workload(parameters.kind, parameters.name)
    if found.obstacle:
        raise ActionFailed(
            f"A restart of {found.kind} {found.name} would do nothing: {found.obstacle}",
            permanent=True,
        )
    return found


def _asked(
    cluster: Kubernetes, was: Workload, parameters: KubernetesRestart, context: Context
) -> Workload:
    """The workload after it was told to restart, once for each step."""
    if was.step == context.key:
        return was
    at = f"{context.now():%Y-%m-%dT%H:%M:%SZ}"
    for tries_left in reversed(range(_TRIES)):
        try:
            return cluster.restart(parameters.kind, parameters.name, step=context.key, at=at)
        except Conflict:
            if not tries_left:
                raise
        context.pause(_LOOK_SECONDS)
    raise AssertionError("the last try returns or raises")


def _rolled_out(
    cluster: Kubernetes, asked: Workload, parameters: KubernetesRestart, context: Context
) -> Workload:
    """The workload once every pod is a new one. An API server that is away for a while is asked
    again."""
    until = context.clock() + parameters.ready_seconds
    now, trouble = asked, ""
    while not now.rolled_out:
        if now.stuck and now.observed >= asked.generation:
            raise ActionFailed(f"The rollout of {now.told()} is stuck: {now.stuck}")
        if context.clock() >= until or not context.left:
            state = (
                f"{now.updated} of {now.wanted} pods are new, {now.available} available,"
                f" {now.total} there"
            )
            raise ActionFailed(
                f"The rollout of {now.told()} is not through after"
                f" {parameters.ready_seconds:g} s: {trouble or state}"
            )
        context.pause(min(_LOOK_SECONDS, max(0.0, context.left)))
        try:
            now, trouble = cluster.workload(parameters.kind, parameters.name), ""
        except Passing as error:
            trouble = error.message
    return now


def _output(was: Workload, now: Workload, new: list[Pod], parameters: KubernetesRestart) -> str:
    names = ", ".join(each.told() for each in new[:_SHOWN])
    return (
        f"{now.kind} {now.name} in namespace {parameters.namespace}: generation {was.generation} →"
        f" {now.generation}, {now.available} of {now.wanted} pods available; new: {names or 'none'}"
    )


def _after(now: Workload, pods: list[Pod]) -> dict[str, Any]:
    return {
        "generation": now.generation,
        "restarted_at": now.restarted_at,
        "pods": {each.uid: each.name for each in pods},
    }
