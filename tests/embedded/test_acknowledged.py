"""What the site acknowledged is in the database, once, whichever of its processes was killed."""

from __future__ import annotations

import http.client
import json
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.collected import seed
from tests.embedded.decisions import held
from tests.embedded.running import Up, until

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into Linux's /proc"),
]

CLIENTS = 4
ITEMS = 10
# Before the kill, and again after the site is whole.
ACKNOWLEDGED = 400
RECOVERY_SECONDS = 120
KEY = secrets.token_hex(16)
STACK = (
    "Traceback (most recent call last):\n"
    '  File "/app/plans.py", line 9, in load\n    raise PlanError(plan)\nPlanError: no plan'
)


class Item:
    """A span or log record with an exception, in a trace of its own."""

    def __init__(self) -> None:
        self.trace, self.span = secrets.token_hex(16), secrets.token_hex(8)
        self.at = time.time_ns()
        self.exception = _attributes(
            {
                "exception.type": "PlanError",
                "exception.message": "no plan",
                "exception.stacktrace": STACK,
            }
        )

    def as_span(self) -> dict[str, Any]:
        event = {"name": "exception", "timeUnixNano": self.at, "attributes": self.exception}
        return {
            "traceId": self.trace,
            "spanId": self.span,
            "name": "load plan",
            "kind": 2,
            "startTimeUnixNano": self.at,
            "endTimeUnixNano": self.at + 1_000_000,
            "status": {"code": 2},
            "events": [event],
        }

    def as_log(self) -> dict[str, Any]:
        return {
            "traceId": self.trace,
            "spanId": self.span,
            "timeUnixNano": self.at,
            "severityNumber": 17,
            "body": {"stringValue": "the plan is not loaded"},
            "attributes": self.exception,
        }


def _attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def _body(signal: str, service: str, items: list[Item]) -> bytes:
    resource = {"attributes": _attributes({"service.name": service})}
    if signal == "traces":
        scope: dict[str, Any] = {"spans": [item.as_span() for item in items]}
        return json.dumps(
            {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}
        ).encode()
    scope = {"logRecords": [item.as_log() for item in items]}
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}).encode()


class Client(threading.Thread):
    """Sends batch after batch; one that was not acknowledged again and again, unchanged."""

    def __init__(self, port: int, signal: str, service: str) -> None:
        super().__init__(daemon=True)
        self._port, self._signal, self._service = port, signal, service
        self._connection: http.client.HTTPConnection | None = None
        self._ended = threading.Event()
        self.acknowledged: list[str] = []
        self.resent = 0
        # Times that the site asked for the batch again, and times that it said nothing.
        self.asked_again = self.unanswered = 0
        self.refused = ""

    def end(self) -> None:
        """Let the batch that is under way be the last."""
        self._ended.set()

    def run(self) -> None:
        while not self._ended.is_set() and not self.refused:
            items = [Item() for _ in range(ITEMS)]
            body = _body(self._signal, self._service, items)
            while not self._is_acknowledged(body) and not self.refused:
                self.resent += 1
                # Sooner than Retry-After asks: all the more batches meet a site that comes up.
                time.sleep(0.05)
            self.acknowledged += [item.trace for item in items]
        if self._connection is not None:
            self._connection.close()

    def _is_acknowledged(self, body: bytes) -> bool:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        try:
            self._connection.request("POST", f"/v1/{self._signal}", body, headers)
            with self._connection.getresponse() as answer:
                content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            self.unanswered += 1
            return False
        if answer.status == 503 and answer.headers["Retry-After"]:
            self.asked_again += 1
        elif answer.status != 200:
            self.refused = f"{answer.status} {content!r}"
        return answer.status == 200


class Load:
    """Clients of one service, half of them sending spans and half log records."""

    def __init__(self, up: Up, service: str) -> None:
        self.up, self.service = up, service
        signals = ["traces", "logs"] * (CLIENTS // 2)
        self.clients = [Client(up.port, signal, service) for signal in signals]
        for client in self.clients:
            client.start()

    def acknowledged(self) -> Counter[str]:
        return Counter(trace for client in self.clients for trace in client.acknowledged)

    def goes_on(self) -> None:
        """Wait until each client had some more acknowledged."""
        goals = [len(client.acknowledged) + ACKNOWLEDGED // CLIENTS for client in self.clients]
        until(
            lambda: all(
                client.refused or len(client.acknowledged) >= goal
                for client, goal in zip(self.clients, goals, strict=True)
            ),
            RECOVERY_SECONDS,
            "acknowledgement of further batches",
        )

    def end(self) -> None:
        for client in self.clients:
            client.end()
        for client in self.clients:
            client.join(RECOVERY_SECONDS)
            assert not client.is_alive()

    @property
    def resent(self) -> int:
        return sum(client.resent for client in self.clients)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with ExitStack() as stack:
        state = seed(tmp_path_factory.mktemp("acknowledged"))
        up = Up(state, changes={"RESILIENCE_INGEST_KEY": KEY})
        stack.callback(up.discard)
        yield up.ready()


def is_stored_once(load: Load) -> None:
    """All that was acknowledged is there, nothing is there twice, and it was counted once."""
    assert [client.refused for client in load.clients] == [""] * CLIENTS
    acknowledged = load.acknowledged()
    assert set(acknowledged.values()) == {1}
    spans = {t for client in load.clients[::2] for t in client.acknowledged}
    with psycopg.connect(_database(load.up.state)) as connection:

        def column(query: str) -> list[Any]:
            return [row[0] for row in connection.execute(query, [load.service]).fetchall()]

        stored_spans = column("SELECT trace_id FROM analytics_span WHERE service = %s")
        stored_logs = column("SELECT trace_id FROM analytics_logrecord WHERE service = %s")
        stored_errors = column("SELECT trace_id FROM analytics_errorevent WHERE service = %s")
        # Whoever was cut off sent again until it was acknowledged, so nothing else is there.
        assert Counter(stored_spans) == Counter(spans)
        assert Counter(stored_logs) == acknowledged - Counter(spans)
        assert Counter(stored_errors) == acknowledged
        figures = {
            "analytics_callrollup": ("calls", "operation = 'load plan'", len(spans)),
            "analytics_logrollup": ("records", "true", len(acknowledged) - len(spans)),
            "analytics_errorrollup": ("errors", "true", len(acknowledged)),
            "analytics_errorpattern": ("count", "true", len(acknowledged)),
        }
        for table, (name, where, expected) in figures.items():
            query = f"SELECT sum({name}) FROM {table} WHERE {where} AND service = %s"
            assert column(query) == [expected], table


def _database(state: Path) -> str:
    kept = json.loads((state / "kept.json").read_text(encoding="utf-8"))
    return str(kept["DATABASE_URL"])


def _busiest_web(up: Up) -> psutil.Process:
    """The web process with most clients, so that its end cuts some of them off."""

    def clients(pid: int) -> int:
        connections = psutil.Process(pid).net_connections("tcp")
        return sum(each.status == psutil.CONN_ESTABLISHED for each in connections)

    return psutil.Process(max(up.pids("web"), key=clients))


def test_a_web_process_that_is_killed_loses_and_doubles_nothing(site: Up) -> None:
    load = Load(site, "killed-web")
    load.goes_on()
    victim = _busiest_web(site)
    victim.kill()
    load.goes_on()
    until(lambda: site.is_replaced("web", victim), RECOVERY_SECONDS, "the new web process")
    load.goes_on()
    load.end()

    assert load.resent > 0
    is_stored_once(load)


def test_a_database_that_is_killed_loses_and_doubles_nothing(site: Up) -> None:
    load = Load(site, "killed-postgres")
    load.goes_on()
    victim = site.named("postgres")
    victim.kill()
    load.goes_on()
    until(lambda: site.is_replaced("postgres", victim), RECOVERY_SECONDS, "the new database")
    load.end()

    assert load.resent > 0
    is_stored_once(load)


@contextmanager
def held_still(engine: psutil.Process) -> Iterator[None]:
    """It and all its processes stop: connections stay open, are taken, and are told nothing."""
    stopped = [engine]
    try:
        engine.suspend()
        stopped += engine.children(recursive=True)
        for each in stopped[1:]:
            with suppress(psutil.NoSuchProcess):
                each.suspend()
        yield
    finally:
        for each in stopped:
            with suppress(psutil.NoSuchProcess):
                each.resume()


def test_a_database_that_hangs_leaves_no_sender_waiting_and_doubles_nothing(site: Up) -> None:
    load = Load(site, "held-postgres")
    load.goes_on()
    with held_still(site.named("postgres")):
        before = [client.asked_again for client in load.clients]
        until(
            lambda: all(
                client.asked_again > times or client.unanswered or client.refused
                for client, times in zip(load.clients, before, strict=True)
            ),
            RECOVERY_SECONDS,
            "an answer to each sender",
        )
    load.goes_on()
    load.end()

    assert [client.unanswered for client in load.clients] == [0] * CLIENTS
    is_stored_once(load)


def test_decisions_outlast_both_engines_and_those_who_wait_wait_on(site: Up) -> None:
    with held(site, KEY) as decisions, ThreadPoolExecutor() as pool:
        web = site.pids("web")
        waiting = decisions.wait(pool)
        victims = {name: site.named(name) for name in ("postgres", "valkey")}
        for victim in victims.values():
            victim.kill()

        def is_replaced(name: str) -> bool:
            assert decisions.obeyed()
            return site.is_replaced(name, victims[name])

        for name in victims:
            until(partial(is_replaced, name), RECOVERY_SECONDS, f"the new {name}")
        until(decisions.unchanged, RECOVERY_SECONDS, "what was decided")
        assert decisions.waits_on(waiting)
        decisions.take_back()
        assert decisions.heard(waiting)
        assert site.pids("web") == web
