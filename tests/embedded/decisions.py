"""What people decide on a running site, and how all who ask tell of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg

from tests.embedded.running import ANSWER_SECONDS, Up, until
from tests.steered import BREAKER, TOGGLE, SteeredService, steered_service

SERVICE = "planner"
BESIDE = "beside"
PATIENCE = 120
NOTICE = "Plans may be a few minutes old."
# The longest that a poll may wait.
WAIT_SECONDS = 60
_HOUR = 3600
_REASON = {"reason": "Graph is being moved"}
_FOR_AN_HOUR = {**_REASON, "expires_in": _HOUR}
# One of each kind, by the path that decides it.
DECISIONS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "POST",
        f"breakers/{SERVICE}/{BREAKER}/override",
        {"state": "forced_open", **_FOR_AN_HOUR},
    ),
    ("PUT", f"breakers/{SERVICE}/{BREAKER}/policy", {"policy": {"timeout": 90}, **_REASON}),
    ("PUT", f"toggles/{TOGGLE}", {"value": False, **_FOR_AN_HOUR}),
    ("PUT", f"degraded/{SERVICE}", {"level": "reduced", "notice": NOTICE, **_FOR_AN_HOUR}),
]
VERSION = len(DECISIONS)
OBEYED = {
    "version": VERSION, "state": "forced_open", "timeout": 90.0, "toggle": False,
    "level": "reduced", "notice": NOTICE,
}  # fmt: skip


class Desk:
    """The API of a site, for somebody who decides and for an instance that polls."""

    def __init__(self, up: Up, ingest_key: str) -> None:
        kept = json.loads((up.state / "kept.json").read_text(encoding="utf-8"))
        self.url = up.url
        self.ingest_key = ingest_key or str(kept["RESILIENCE_INGEST_KEY"])
        self._operator_key = str(kept["RESILIENCE_OPERATOR_KEY"])
        self._database = str(kept["DATABASE_URL"])

    def act(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.ask(method, path, body)
        answer.raise_for_status()
        return dict(answer.json())

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return httpx.request(
            method,
            f"{self.url}/api/v1/{path}",
            headers={"Authorization": f"Bearer {self._operator_key}"},
            json=body,
            timeout=ANSWER_SECONDS,
        )

    def knows_the_breaker(self) -> bool:
        """Whether the service has told of it."""
        return self.ask("GET", f"breakers/{SERVICE}/{BREAKER}").status_code == 200

    def poll(self, known: int | None = None) -> httpx.Response:
        """One poll of an instance beside the service's own; a long one if it knows a version."""
        wait = 0 if known is None else WAIT_SECONDS
        headers = {"Authorization": f"Bearer {self.ingest_key}"}
        if known is not None:
            headers["If-None-Match"] = f'"{known}"'
        return httpx.get(
            f"{self.url}/api/v1/control",
            params={"service": SERVICE, "instance": BESIDE, "wait": wait},
            headers=headers,
            timeout=WAIT_SECONDS + ANSWER_SECONDS,
        )

    def has_acknowledged(self, instance: str, version: int) -> bool:
        """Whether the site has written down that the instance works by this version."""
        query = (
            "SELECT true FROM breakers_instance "
            "WHERE service = %s AND instance = %s AND applied_version = %s"
        )
        with psycopg.connect(self._database) as connection:
            return bool(connection.execute(query, [SERVICE, instance, version]).fetchone())

    def told(self) -> list[Any]:
        """The control document and its ETag, and what the site says to people of each decision."""
        answer = self.poll()
        answer.raise_for_status()
        breaker = self.act("GET", f"breakers/{SERVICE}/{BREAKER}")
        policies = self.act("GET", f"breakers/{SERVICE}/{BREAKER}/policy")["items"]
        toggle = self.act("GET", f"toggles/{TOGGLE}")
        degraded = self.act("GET", f"degraded/{SERVICE}")
        return [
            answer.headers["ETag"],
            _timeless(answer.json()),
            breaker["override"],
            policies,
            [toggle[name] for name in ("value", "state", "version", "expires_at")],
            [degraded[name] for name in ("level", "notice", "expires_at")],
        ]


class Held:
    """Decisions that are in force on a site, and a service that obeys them."""

    def __init__(self, desk: Desk, service: SteeredService) -> None:
        self._desk, self._service = desk, service
        assert service.call()
        until(desk.knows_the_breaker, PATIENCE, "the breaker")
        for method, path, body in DECISIONS:
            desk.act(method, path, body)
        until(self.obeyed, PATIENCE, "the service's obedience")
        self._told = desk.told()
        self._began = 0.0

    def wait(self, pool: Executor) -> Future[httpx.Response]:
        """A poll that waits for a change."""
        self._began = time.monotonic()
        waiting = pool.submit(self._desk.poll, VERSION)
        until(lambda: self._desk.has_acknowledged(BESIDE, VERSION), PATIENCE, "the waiting poll")
        return waiting

    def obeyed(self) -> bool:
        """Whether the service does what was decided, whether or not it reaches the site."""
        standing = self._service.standing()
        del standing["status"]
        return standing == OBEYED and not self._service.call()

    def unchanged(self) -> bool:
        """Whether the site tells of its decisions again: the same, at the same version."""
        try:
            told = self._desk.told()
        except httpx.HTTPStatusError as refusal:
            # One of its processes has not found the database again.
            if refusal.response.status_code != 503:
                raise
            return False
        assert told == self._told, (told, self._told)
        return True

    def take_back(self) -> None:
        """Take the override back, and see the service work and the site know of it."""
        path, auto = f"breakers/{SERVICE}/{BREAKER}/override", {"state": "auto"}
        until(lambda: self._desk.ask("POST", path, auto).is_success, PATIENCE, "the change")
        until(self._service.call, PATIENCE, "the end of the override")
        name, version = self._service.instance, VERSION + 1
        until(lambda: self._desk.has_acknowledged(name, version), PATIENCE, "the acknowledgement")
        standing = self._service.standing()
        assert (standing["status"], standing["version"]) == ("current", version)

    def waits_on(self, waiting: Future[httpx.Response]) -> bool:
        """Whether the poll that waits does so still, or had no answer but that its time is over."""
        if not waiting.done():
            return True
        return waiting.result().status_code == 304 and time.monotonic() - self._began > WAIT_SECONDS

    def heard(self, waiting: Future[httpx.Response]) -> bool:
        """Whether the poll that waits was told of what was taken back."""
        answer = waiting.result()
        if answer.status_code == 304:
            # Its time was over before: it asks again.
            answer = self._desk.poll(VERSION)
        return (answer.status_code, answer.headers["ETag"]) == (200, f'"{VERSION + 1}"')


@contextmanager
def held(up: Up, ingest_key: str = "") -> Iterator[Held]:
    """Decide one of each kind, and have a service that obeys until the block ends.

    The ingest key is the one that the site made for itself, or else was given.
    """
    desk = Desk(up, ingest_key)
    with steered_service(up.url, desk.ingest_key, SERVICE) as service:
        yield Held(desk, service)


def _timeless(told: Any) -> Any:
    """Without the seconds that run down by themselves."""
    if isinstance(told, dict):
        return {name: _timeless(each) for name, each in told.items() if name != "expires_in"}
    return [_timeless(each) for each in told] if isinstance(told, list) else told
