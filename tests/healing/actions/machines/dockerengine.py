"""An engine that speaks the Docker Engine API and keeps the state of its containers."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.healing.actions.machines.serving import Faults

_PIDS = itertools.count(4000)


def _now() -> str:
    """As Go writes a time with nanoseconds."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}{next(_PIDS) % 1000:03d}Z"


@dataclass
class Box:
    """A container; it needs `stops_after` seconds to stop, and its health check `healthy_after`."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    id: str = ""
    running: bool = True
    started_at: str = field(default_factory=_now)
    pid: int = field(default_factory=lambda: next(_PIDS))
    exit_code: int = 0
    stops_after: float = 0.0
    healthy_after: float | None = None
    healthy_at: float = 0.0
    killed: bool = False
    crashes: bool = False
    terminal: bool = False
    removing: bool = False

    def __post_init__(self) -> None:
        self.id = self.id or f"{abs(hash(self.name)):016x}"[:16] * 4

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "Status": "running" if self.running else "exited",
            "Running": self.running,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": self.pid if self.running else 0,
            "ExitCode": self.exit_code,
            "Error": "",
            "StartedAt": self.started_at,
            "FinishedAt": "0001-01-01T00:00:00Z",
        }
        if self.healthy_after is not None:
            well = asyncio.get_running_loop().time() >= self.healthy_at
            found["Health"] = {
                "Status": "healthy" if well else "starting",
                "FailingStreak": 0,
                "Log": [],
            }
        return found


class Engine:
    """The engine: `highest` and `lowest` are the versions of the API that it speaks."""

    def __init__(self, *boxes: Box, highest: str = "1.47", lowest: str = "1.24") -> None:
        self.boxes = list(boxes)
        self.highest, self.lowest = highest, lowest
        self.faults = Faults()
        self.versions: set[str] = set()

    def box(self, name: str) -> Box:
        return next(each for each in self.boxes if each.name == name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/_ping":
            headers = {"Api-Version": self.highest, "Docker-Experimental": "false"}
            return web.Response(text="OK", headers=headers if self.highest else {})
        parts = re.fullmatch(r"/v(\d+\.\d+)/(.*)", request.path)
        if parts is None:
            return _error(404, "page not found")
        self.versions.add(parts[1])
        asked, low, high = (
            _numbers(each) for each in (parts[1], self.lowest, self.highest or "1.24")
        )
        if asked > high:
            return _error(
                400, f"client version {parts[1]} is too new. Maximum supported API version is"
                f" {self.highest}",
            )  # fmt: skip
        if asked < low:
            return _error(
                400, f"client version {parts[1]} is too old. Minimum supported API version is"
                f" {self.lowest}, please upgrade your client to a newer version",
            )  # fmt: skip
        return await self._call(request, parts[2])

    async def _call(self, request: web.Request, path: str) -> web.StreamResponse:
        if path == "containers/json":
            return self._list(request)
        parts = re.fullmatch(r"containers/([^/]+)/(json|restart|logs)", path)
        if parts is None:
            return _error(404, "page not found")
        found = [
            each for each in self.boxes if each.name == parts[1] or each.id.startswith(parts[1])
        ]
        if not found:
            return _error(404, f"No such container: {parts[1]}")
        box = found[0]
        if parts[2] == "json":
            return web.json_response(
                {"Id": box.id, "Name": f"/{box.name}", "State": box.state(),
                 "RestartCount": 0, "Config": {"Image": "planner:3", "Labels": box.labels}}
            )  # fmt: skip
        if parts[2] == "logs":
            return web.Response(body=_logs(box), content_type="application/octet-stream")
        if request.method != "POST":
            return _error(405, "method not allowed")
        return await self._restart(request, box)

    async def _restart(self, request: web.Request, box: Box) -> web.StreamResponse:
        if box.removing:
            return _error(
                409, f"Cannot restart container {box.name}: container is marked for removal and"
                " cannot be started",
            )  # fmt: skip
        grace = float(request.query.get("t", "10"))
        await asyncio.sleep(min(grace, box.stops_after))
        box.killed = box.stops_after > grace
        box.running = not box.crashes
        box.exit_code = 1 if box.crashes else 0
        box.started_at, box.pid = _now(), next(_PIDS)
        if box.healthy_after is not None:
            box.healthy_at = asyncio.get_running_loop().time() + box.healthy_after
        return web.Response(status=204)

    def _list(self, request: web.Request) -> web.StreamResponse:
        wanted = json.loads(request.query.get("filters", "{}")).get("label", [])
        found = [
            {"Id": box.id, "Names": [f"/{box.name}"], "Labels": box.labels}
            for box in self.boxes
            if all(_carries(box.labels, each) for each in wanted)
            and (box.running or request.query.get("all") == "true")
        ]
        return web.json_response(found)


def _carries(labels: dict[str, str], wanted: str) -> bool:
    key, has_value, value = wanted.partition("=")
    return key in labels and (not has_value or labels[key] == value)


def _logs(box: Box) -> bytes:
    lines = [(1, b"starting\n"), (2, b"no such table: plans\n")]
    if box.terminal:
        return b"".join(line for _, line in lines)
    return b"".join(
        bytes([stream, 0, 0, 0]) + len(line).to_bytes(4, "big") + line for stream, line in lines
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split("."))


def _error(code: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=code)
