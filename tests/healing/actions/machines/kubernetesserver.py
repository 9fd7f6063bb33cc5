"""An API server that keeps workloads and pods, with controllers that move at every look.

A controller first notices the new generation, then replaces one pod a look: the new one becomes
available, and the old one goes.
"""

from __future__ import annotations

import copy
import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.healing.actions.machines.serving import Faults

TOKEN = "eyJhbGciOi.a-very-secret-token"
_UIDS = itertools.count(1)


@dataclass
class Work:
    """A workload; `never_ready`: its new pods never become available."""

    kind: str
    name: str
    replicas: int = 3
    spec: dict[str, Any] = field(default_factory=dict)
    never_ready: bool = False
    generation: int = 4
    observed: int = 4
    template: dict[str, Any] = field(default_factory=lambda: {"metadata": {"labels": {}}})
    # (name, uid, generation of its template), those that are available.
    pods: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pods = [self.new_pod() for _ in range(self.replicas)]

    def new_pod(self) -> tuple[str, str, int]:
        number = next(_UIDS)
        return (f"{self.name}-{number:05x}", f"0000-{number}", self.generation)

    def move(self) -> None:
        """One step of its controller."""
        if self.observed < self.generation:
            self.observed = self.generation
            return
        old = [each for each in self.pods if each[2] < self.generation]
        if old and not self.never_ready:
            self.pods.remove(old[0])
            self.pods.append(self.new_pod())

    def document(self) -> dict[str, Any]:
        updated = sum(each[2] == self.generation for each in self.pods)
        status: dict[str, Any] = {"observedGeneration": self.observed}
        if self.kind == "daemonsets":
            status |= {
                "desiredNumberScheduled": self.replicas,
                "currentNumberScheduled": self.replicas,
                "updatedNumberScheduled": updated,
                "numberAvailable": len(self.pods),
            }
        else:
            counts = {
                "replicas": len(self.pods),
                "updatedReplicas": updated,
                "availableReplicas": len(self.pods),
            }
            # Go leaves out what is 0.
            status |= {name: count for name, count in counts.items() if count}
        stuck = self.never_ready and self.observed == self.generation and not updated
        if self.kind == "deployments" and stuck:
            status["conditions"] = [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": f'ReplicaSet "{self.name}" has timed out progressing.',
                },
            ]
        spec = {
            "selector": {
                "matchLabels": {"app": self.name},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}],
            },
            "template": self.template,
            **({} if self.kind == "daemonsets" else {"replicas": self.replicas}),
            **self.spec,
        }
        return {
            "apiVersion": "apps/v1",
            "kind": self.kind,
            "metadata": {
                "name": self.name,
                "namespace": "plan",
                "generation": self.generation,
                "resourceVersion": str(self.generation * 100 + updated),
            },
            "spec": spec,
            "status": status,
        }


class Cluster:
    """The API server of one namespace, `plan`."""

    def __init__(self, *works: Work) -> None:
        self.works = list(works)
        self.faults = Faults()

    def work(self, name: str) -> Work:
        return next(each for each in self.works if each.name == name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return failure(401, "Unauthorized", "Unauthorized")
        pods = re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods", request.path)
        parts = re.fullmatch(r"/apis/apps/v1/namespaces/([^/]+)/([a-z]+)/([^/]+)", request.path)
        found = pods or parts
        if found is None:
            return failure(404, "NotFound", "the server could not find the requested resource")
        if found[1] != "plan":
            return failure(403, "Forbidden", f'cannot get resource in the namespace "{found[1]}"')
        if pods is not None:
            return self._pods(request.query.get("labelSelector", ""))
        assert parts is not None
        works = [each for each in self.works if (each.kind, each.name) == (parts[2], parts[3])]
        if not works:
            return failure(404, "NotFound", f'{parts[2]}.apps "{parts[3]}" not found')
        if request.method == "PATCH":
            return await self._patch(request, works[0])
        works[0].move()
        return web.json_response(works[0].document())

    def _pods(self, selector: str) -> web.Response:
        works = [each for each in self.works if f"app={each.name},tier in (a,b)" == selector]
        items = [
            {
                "metadata": {"name": name, "uid": uid},
                "status": {"phase": "Running", "startTime": "2026-11-26T23:00:00Z"},
            }
            for work in works
            for name, uid, _ in work.pods
        ]
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "items": items})

    async def _patch(self, request: web.Request, work: Work) -> web.Response:
        if request.content_type != "application/strategic-merge-patch+json":
            return failure(415, "UnsupportedMediaType", "the body of the request was in an unknown")
        before = copy.deepcopy(work.template)
        change = await request.json()
        notes = change["spec"]["template"]["metadata"]["annotations"]
        work.template["metadata"].setdefault("annotations", {}).update(notes)
        if work.template != before:
            work.generation += 1
        return web.json_response(work.document())


def failure(code: int, reason: str, message: str) -> web.Response:
    """An error as the API server writes it."""
    return web.json_response(failure_form(code, reason, message), status=code)


def failure_form(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
