"""The Kubernetes API, as far as the restart of a workload by a rollout needs it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from healing.actions.base import ActionFailed, Context
from healing.actions.link import NoAnswer, Server, exchange, json_of, part, server_at, told
from health.checks.options import OptionError
from health.checks.tlscontext import tls_context
from health.checks.web import Answer

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
# The step that restarted it last: another attempt of the same step restarts nothing again.
STEP: Final = "resilience-control-plane/step"
# What the kubelet gives to every pod; the token is renewed in place.
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MANAGER: Final = "resilience-control-plane"
_PLURALS: Final = {
    "deployment": "deployments",
    "statefulset": "statefulsets",
    "daemonset": "daemonsets",
}
KINDS: Final = tuple(_PLURALS)
_CONFLICT: Final = 409
# An API server that is busy, or starts anew.
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_FOR_GOOD: Final = frozenset({400, 401, 403, 404, 405, 422})
_MOST_ACCOUNT: Final = 65_536


class Conflict(ActionFailed):
    """The object was changed by somebody else in between."""


class Passing(ActionFailed):
    """The API server cannot answer now."""


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet; counts are of pods.

    `generation` counts changes of what is asked for, `observed` those that its controller has seen.
    `step` is the step that restarted it last. `obstacle` says why a rollout replaces no pod.
    """

    kind: str
    name: str
    generation: int
    observed: int
    wanted: int
    updated: int
    available: int
    total: int
    restarted_at: str
    step: str
    selector: str
    obstacle: str
    stuck: str

    @property
    def rolled_out(self) -> bool:
        """Every pod is of the newest template, is available, and no older one is left."""
        return (
            self.observed >= self.generation
            and self.updated >= self.wanted
            and self.total <= self.updated
            and self.available >= self.wanted
        )

    def told(self) -> str:
        """`deployment planner (generation 4, 3 of 3 pods available)`."""
        last = f", restarted {self.restarted_at}" if self.restarted_at else ""
        return (
            f"{self.kind} {self.name} (generation {self.generation},"
            f" {self.available} of {self.wanted} pods available{last})"
        )


@dataclass(frozen=True)
class Pod:
    name: str
    uid: str
    phase: str
    started_at: str

    def told(self) -> str:
        return f"{self.name} ({self.phase} since {self.started_at or 'never'})"


class Kubernetes:
    """A client of one API server, in one namespace. Calls raise `ActionFailed`."""

    def __init__(self, server: Server, namespace: str, context: Context) -> None:
        self._server = server
        self._namespace = namespace
        self._context = context

    @property
    def where(self) -> str:
        return self._server.where

    def workload(self, kind: str, name: str) -> Workload:
        """The present state of a workload; its absence is permanent."""
        return _workload(kind, self._call("GET", self._path(kind, name)), self.where)

    def restart(self, kind: str, name: str, *, step: str, at: str) -> Workload:
        """Change the template of its pods, which makes its controller replace each of them.

        Raises `Conflict` where somebody else changes it at the same time.
        """
        notes = {RESTARTED_AT: at, STEP: step}
        change = {"spec": {"template": {"metadata": {"annotations": notes}}}}
        changed = self._call(
            "PATCH", self._path(kind, name), {"fieldManager": _MANAGER}, json.dumps(change).encode()
        )
        return _workload(kind, changed, self.where)

    def pods(self, selector: str) -> list[Pod]:
        """Pods that a selector means."""
        found = self._call(
            "GET", f"api/v1/namespaces/{self._namespace}/pods", {"labelSelector": selector}
        )
        return [_pod(each, self.where) for each in part(found, "items", list, self.where)]

    def _path(self, kind: str, name: str) -> str:
        return f"apis/apps/v1/namespaces/{self._namespace}/{_PLURALS[kind]}/{name}"

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/strategic-merge-patch+json"
        try:
            answer = exchange(
                self._server, method, path, self._context, query=query, body=body, headers=headers
            )
        except NoAnswer as error:
            raise Passing(error.message) from None
        if answer.status == 200:
            return json_of(answer, self.where)
        raise self._refused(answer)

    def _refused(self, answer: Answer) -> ActionFailed:
        said = ""
        if answer.body.lstrip().startswith(b"{"):
            said = str(json_of(answer, self.where).get("message", ""))
        failed = told(answer, self.where, said=said, permanent=answer.status in _FOR_GOOD)
        if answer.status == _CONFLICT:
            return Conflict(failed.message, output=failed.output)
        if answer.status in _PASSING:
            return Passing(failed.message, output=failed.output)
        return failed


def kubernetes_server(option: str, text: str, token: str, ca: str | None) -> Server:
    """The API server at `text` with a bearer token, or, without both, the one of the cluster that
    this site runs in, with its service account. Raises `OptionError`."""
    if not text:
        return _own_cluster(option)
    server = server_at(option, text)
    if server.path or server.url.scheme != "https":
        raise OptionError(option, "must begin with https://")
    return _with_token(replace(server, tls=tls_context(ca=ca)), token)


def _own_cluster(option: str) -> Server:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        token, ca = (
            (ACCOUNT / each).read_bytes()[:_MOST_ACCOUNT].decode() for each in ("token", "ca.crt")
        )
    except (OSError, UnicodeDecodeError):
        host = ""
    if not host:
        raise OptionError(option, "must be given: this site runs in no Kubernetes cluster")
    server = server_at(option, f"https://{f'[{host}]' if ':' in host else host}:{port}")
    return _with_token(replace(server, tls=tls_context(ca=ca)), token.strip())


def _with_token(server: Server, token: str) -> Server:
    return replace(server, headers={"Authorization": f"Bearer {token}"}, secrets=(token,))


def _workload(kind: str, given: Any, where: str) -> Workload:
    meta, spec = part(given, "metadata", dict, where), part(given, "spec", dict, where)
    status = part(given, "status", dict, where)
    template = part(spec, "template", dict, where)
    notes = (template.get("metadata") or {}).get("annotations") or {}
    counts = _daemon_counts if kind == "daemonset" else _replica_counts
    wanted, updated, available, total = counts(spec, status)
    return Workload(
        kind=kind,
        name=part(meta, "name", str, where),
        generation=part(meta, "generation", int, where),
        observed=_count(status, "observedGeneration"),
        wanted=wanted,
        updated=updated,
        available=available,
        total=total,
        restarted_at=str(notes.get(RESTARTED_AT, "")),
        step=str(notes.get(STEP, "")),
        selector=_selector(part(spec, "selector", dict, where), where),
        obstacle=_obstacle(spec, wanted),
        stuck=_stuck(status),
    )


def _replica_counts(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[int, ...]:
    wanted = _count(spec, "replicas", 1)
    # Pods below the partition of a StatefulSet stay as they are.
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    kept = min(wanted, _count(rolling, "partition"))
    updated, total = _count(status, "updatedReplicas"), _count(status, "replicas")
    return wanted - kept, updated, _count(status, "availableReplicas") - kept, total - kept


def _daemon_counts(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[int, ...]:
    wanted = _count(status, "desiredNumberScheduled")
    updated, available = (
        _count(status, each) for each in ("updatedNumberScheduled", "numberAvailable")
    )
    # It runs one pod a node: an older one is gone when a newer one is there.
    return wanted, updated, available, updated


def _count(given: Mapping[str, Any], name: str, otherwise: int = 0) -> int:
    """Fields that are 0 are left out of answers."""
    found = given.get(name, otherwise)
    return found if isinstance(found, int) else otherwise


def _obstacle(spec: Mapping[str, Any], wanted: int) -> str:
    if spec.get("paused") is True:
        return "its rollouts are paused"
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return "its pods are replaced only when they are deleted (OnDelete)"
    return "" if wanted else "it has no pods to replace"


def _stuck(status: Mapping[str, Any]) -> str:
    """What a Deployment says of a rollout that has not moved for its progress deadline."""
    for each in status.get("conditions") or []:
        if isinstance(each, Mapping) and each.get("reason") == "ProgressDeadlineExceeded":
            return str(each.get("message") or "it has not progressed in time")
    return ""


def _selector(given: Mapping[str, Any], where: str) -> str:
    """A selector as a query has it."""
    parts = [f"{key}={value}" for key, value in (given.get("matchLabels") or {}).items()]
    for each in given.get("matchExpressions") or []:
        key, operator = part(each, "key", str, where), part(each, "operator", str, where)
        values = ",".join(str(value) for value in each.get("values") or [])
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        if operator not in forms:
            raise ActionFailed(f"{where} selects pods by an operator that is unknown: {operator}")
        parts.append(forms[operator])
    return ",".join(parts)


def _pod(given: Any, where: str) -> Pod:
    meta, status = part(given, "metadata", dict, where), part(given, "status", dict, where)
    phase = "Terminating" if meta.get("deletionTimestamp") else str(status.get("phase", ""))
    return Pod(
        part(meta, "name", str, where),
        part(meta, "uid", str, where),
        phase,
        str(status.get("startTime") or ""),
    )
