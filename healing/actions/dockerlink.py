"""The Docker Engine API, as far as restarting a container needs it; Podman speaks it too.

The version is negotiated: the newest that both know, from what `/_ping` tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from healing.actions.base import ActionFailed, Context
from healing.actions.link import ANSWER_SECONDS, Server, exchange, json_of, part, told
from health.checks.web import Answer
from health.checks.words import one_line

# What we use has been the same in all of these.
_OLDEST: Final = (1, 24)
_NEWEST: Final = (1, 51)
# Of an engine that does not tell its version; it may be of before 1.24.
_UNTOLD: Final = "1.24"
_LOG_LINES: Final = "20"
_FRAME: Final = 8
# Another attempt would end the same.
_FOR_GOOD: Final = frozenset({400, 401, 403, 404})


@dataclass(frozen=True)
class Container:
    """A container: `state` as `docker ps` has it, `health` empty where it has no health check.

    `started_at` is as the engine writes it: it tells one instance from the next.
    """

    id: str
    name: str
    image: str
    state: str
    health: str
    running: bool
    started_at: str
    pid: int
    exit_code: int

    def told(self) -> str:
        """`planner (3f2a9c1b7d4e, running since 2026-11-26T23:40:12.1Z, unhealthy, pid 4711)`."""
        words = [self.id[:12], self.state]
        if self.running:
            words[-1] += f" since {self.started_at}"
        words += [each for each in (self.health, f"image {self.image}") if each]
        if self.pid:
            words.append(f"pid {self.pid}")
        return f"{self.name} ({', '.join(words)})"

    def kept(self) -> dict[str, Any]:
        """What tells this instance from the next one."""
        return {"name": self.name, "started_at": self.started_at, "pid": self.pid}


class Docker:
    """A client of one engine. Calls raise `ActionFailed`."""

    def __init__(self, server: Server, context: Context) -> None:
        self._server = server
        self._context = context
        self._prefix = ""

    @property
    def where(self) -> str:
        return self._server.where

    def container(self, name: str) -> Container:
        """A container by its name or id; its absence is permanent."""
        answer = self._get(f"containers/{name}/json")
        if answer.status != 200:
            raise self._refused(answer)
        return self._container(json_of(answer, self.where))

    def labelled(self, label: str) -> list[Container]:
        """The containers with a label, `key` or `key=value`, also those that do not run."""
        answer = self._get("containers/json", all="true", filters=json.dumps({"label": [label]}))
        if answer.status != 200:
            raise self._refused(answer)
        found = json_of(answer, self.where)
        if not isinstance(found, list):
            raise ActionFailed(f"{self.where} gave no list of containers")
        return [self.container(part(each, "Id", str, self.where)) for each in found]

    def restart(self, identity: str, grace: float) -> None:
        """Stop it, by KILL after `grace` seconds, and start it. Raises `NoAnswer` where that may
        have happened all the same."""
        answer = self._call(
            "POST",
            f"containers/{identity}/restart",
            {"t": str(max(0, round(grace)))},
            seconds=grace + 2 * ANSWER_SECONDS,
        )
        if answer.status != 204:
            raise self._refused(answer)

    def last_words(self, identity: str) -> str:
        """The end of what a container wrote; empty where the engine does not tell."""
        answer = self._get(f"containers/{identity}/logs", stdout="1", stderr="1", tail=_LOG_LINES)
        return _log(answer.body) if answer.status == 200 else ""

    def _get(self, path: str, **query: str) -> Answer:
        return self._call("GET", path, query)

    def _call(
        self, method: str, path: str, query: Mapping[str, str], seconds: float = ANSWER_SECONDS
    ) -> Answer:
        self._prefix = self._prefix or f"v{self._version()}"
        return exchange(
            self._server, method, f"{self._prefix}/{path}", self._context, query=query,
            seconds=seconds,
        )  # fmt: skip

    def _version(self) -> str:
        answer = exchange(self._server, "GET", "_ping", self._context)
        if answer.status != 200:
            raise self._refused(answer)
        # Names of headers are in any case.
        headers = {name.lower(): value for name, value in answer.headers.items()}
        theirs = headers.get("api-version", _UNTOLD)
        numbers = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", theirs)
        if numbers is None:
            raise ActionFailed(f"{self.where} speaks a version that is none: {one_line(theirs)}")
        version = min((int(numbers[1]), int(numbers[2])), _NEWEST)
        if version < _OLDEST:
            raise ActionFailed(
                f"{self.where} speaks version {theirs} of Docker's API; needed is 1.24",
                permanent=True,
            )
        return f"{version[0]}.{version[1]}"

    def _refused(self, answer: Answer) -> ActionFailed:
        said = ""
        if answer.body.lstrip().startswith(b"{"):
            said = str(json_of(answer, self.where).get("message", ""))
        return told(answer, self.where, said=said, permanent=answer.status in _FOR_GOOD)

    def _container(self, given: Any) -> Container:
        state = part(given, "State", dict, self.where)
        health = state.get("Health")
        config = given.get("Config")
        return Container(
            id=part(given, "Id", str, self.where),
            name=part(given, "Name", str, self.where).removeprefix("/"),
            image=str(config.get("Image", "")) if isinstance(config, dict) else "",
            state=part(state, "Status", str, self.where),
            # "none": its health check is switched off.
            health=str(health.get("Status", "")).replace("none", "") if health else "",
            running=part(state, "Running", bool, self.where) and not state.get("Restarting"),
            started_at=part(state, "StartedAt", str, self.where),
            pid=part(state, "Pid", int, self.where),
            exit_code=part(state, "ExitCode", int, self.where),
        )


def _log(body: bytes) -> str:
    """The text of a log: frames, each with its stream and length before it, or, of a container with
    a terminal, the bytes themselves."""
    if body[:1] not in (b"\x00", b"\x01", b"\x02") or body[1:4] != b"\x00\x00\x00":
        return body.decode("utf-8", "replace").strip()
    parts, at = [], 0
    while at + _FRAME <= len(body):
        length = int.from_bytes(body[at + 4 : at + _FRAME], "big")
        parts.append(body[at + _FRAME : at + _FRAME + length])
        at += _FRAME + length
    return b"".join(parts).decode("utf-8", "replace").strip()
