"""Health checks as their users meet them: declared by API, run for real, told to the right people.

Three real layers: a page that asks a service, which asks PostgreSQL, which is stopped, killed or
cut off. What each kind of check finds is tested in `tests/health/checks`, states in simulated time
in `tests/health/states`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from health.checks.addresses import Addresses
from health.models import Outage
from health.prober.connectivity import Connectivity
from health.prober.prober import Prober
from health.prober.running import Runner
from health.services.announcements import outages_announce
from resilience_site.core import journal
from tests.health.checks.engines import PostgresPair, postgres_pair
from tests.health.faults import Faults
from tests.livesite import LiveSite, WebProcess, fresh_site
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]
PATIENCE = 90
PACE = {"interval_seconds": 1, "timeout_seconds": 0.8, "failures_to_down": 2, "successes_to_up": 1}


@contextmanager
def serving(answer: Callable[[], tuple[int, str]]) -> Iterator[str]:
    """An HTTP server that answers what `answer` finds out; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer()
            # A check that gave up is gone by now.
            with suppress(ConnectionError):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class Layers:
    """The page, the service and the database behind a proxy, each with its address."""

    def __init__(self, engines: PostgresPair, proxy: Faults, closing: ExitStack) -> None:
        self.database = engines.primary
        self.proxy = proxy
        self.dsn = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
        self.service = closing.enter_context(serving(self._ask_database))
        self.page = closing.enter_context(serving(self._ask_service))

    def _ask_database(self) -> tuple[int, str]:
        try:
            with psycopg.connect(
                self.dsn, connect_timeout=2, options="-c statement_timeout=500"
            ) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            return 503, str(error)
        return 200, "well"

    def _ask_service(self) -> tuple[int, str]:
        try:
            answer = httpx.get(self.service, timeout=2)
        except httpx.HTTPError as error:
            return 502, str(error)
        return answer.status_code, answer.text


@pytest.fixture(scope="module")
def layers() -> Iterator[Layers]:
    with ExitStack() as closing:
        engines = closing.enter_context(postgres_pair())
        proxy = closing.enter_context(Faults("127.0.0.1", engines.primary.port))
        yield Layers(engines, proxy, closing)


@pytest.fixture(scope="module")
def private_site_url(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A web process that may be told of addresses of this machine."""
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setenv("RESILIENCE_ALLOW_PRIVATE_TARGETS", "true")
        process = WebProcess("web-private")
        process.start()
        try:
            yield process.url
        finally:
            process.stop()


@pytest.fixture
def site(private_site_url: str, transactional_db: None) -> LiveSite:
    return fresh_site(private_site_url)


@pytest.fixture
def api(site: LiveSite) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {site.operator_key}"}
    with httpx.Client(base_url=f"{site.url}/api/v1/", headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def probing(transactional_db: None) -> Iterator[None]:
    def runner() -> Runner:
        return Runner(
            per_host=20,
            addresses=Addresses(allow_private=True),
            connectivity=Connectivity([]),
        )

    prober = Prober(runner=runner, concurrency=100)
    prober.start()
    yield
    prober.stop()


def make(api: httpx.Client, name: str, kind: str, target: dict[str, Any], **more: Any) -> str:
    body = {"name": name, "kind": kind, "service": name, "target": target, **PACE, **more}
    answer = api.post("health/checks", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def make_layers(api: httpx.Client, layers: Layers) -> None:
    # Longer than a stall in which one layer has been found down and the one below it not yet.
    settle = {"settle_seconds": 6}
    make(api, "secret-db-7", "postgres", {"dsn": layers.dsn}, **settle)
    make(api, "cart", "http", {"url": layers.service}, depends_on=["secret-db-7"], **settle)
    make(api, "shop", "http", {"url": layers.page}, depends_on=["cart"], hard=True, **settle)


def states(api: httpx.Client) -> dict[str, tuple[str, str | None]]:
    rows = api.get("health").json()["checks"]
    return {row["name"]: (row["state"], row["culprit"]) for row in rows}


def all_up(api: httpx.Client) -> bool:
    return {state for state, _ in states(api).values()} == {"up"}


def announced() -> list[dict[str, Any]]:
    outages_announce(now=datetime.now(UTC))
    entries = journal.read(0, ["health"], limit=10_000)
    return [each.payload for each in entries if each.kind == "failure_confirmed"]


def as_url(conninfo: str) -> str:
    parts = {key: quote(str(value), safe="") for key, value in conninfo_to_dict(conninfo).items()}
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}"


def stopped(layers: Layers) -> Callable[[], None]:
    layers.database.stop()
    return layers.database.resume


def cut_off(layers: Layers) -> Callable[[], None]:
    layers.proxy.hang()
    return layers.proxy.heal


def refused(layers: Layers) -> Callable[[], None]:
    layers.proxy.refuse()
    return layers.proxy.heal


@pytest.mark.parametrize("harm", [stopped, cut_off, refused])
def test_a_database_that_dies_is_the_one_alert_of_three_layers(
    api: httpx.Client,
    site: LiveSite,
    layers: Layers,
    probing: None,
    harm: Callable[[Layers], Callable[[], None]],
) -> None:
    make_layers(api, layers)
    until(lambda: all_up(api), PATIENCE)
    heal = harm(layers)
    try:
        until(lambda: bool(announced()), PATIENCE)
        found = {
            "secret-db-7": ("down", None),
            "cart": ("unreachable", "secret-db-7"),
            "shop": ("unreachable", "secret-db-7"),
        }
        until(lambda: states(api) == found, PATIENCE)
        assert api.get("health").json()["status"] == "down"
        (alert,) = announced()
        assert alert["check"]["name"] == alert["culprit"]["name"] == "secret-db-7"
        assert alert["blast_radius"]["services"] == ["cart", "shop"]
        assert alert["evidence"][0]["status"] == "down"
    finally:
        heal()
    until(lambda: all_up(api), PATIENCE)
    assert len(announced()) == 1
    until(lambda: not Outage.objects.filter(ended_at=None).exists(), PATIENCE)


def test_the_public_hears_of_an_outage_and_of_no_internal_name(
    api: httpx.Client, site: LiveSite, layers: Layers, probing: None
) -> None:
    from health.models import Service

    make_layers(api, layers)
    Service.objects.filter(name="shop").update(public_name="The Shop", criticality="critical")
    until(lambda: all_up(api), PATIENCE)

    def page() -> str:
        return httpx.get(f"{site.url}/status", params={"refresh": "off"}, timeout=60).text

    until(lambda: "All systems operational" in page(), PATIENCE)
    layers.proxy.refuse()
    try:
        until(lambda: "ajor outage" in page(), PATIENCE)
        text = page() + httpx.get(f"{site.url}/status.json", timeout=60).text
        assert "The Shop" in text
        for internal in ("secret-db-7", "cart", "127.0.0.1", "postgres", "unreachable"):
            assert internal not in text.replace("/static/", "")
        health = httpx.get(f"{site.url}/healthz", timeout=60)
        assert "secret-db-7" not in health.text
    finally:
        layers.proxy.heal()
    until(lambda: "All systems operational" in page(), PATIENCE)


def test_the_real_planner_with_all_that_it_needs_is_up_and_its_faults_are_told(
    api: httpx.Client, probing: None, protected_planner: Any, faulty_graph: Any
) -> None:
    planner, graph = protected_planner, faulty_graph
    slow = {"timeout_seconds": 5, "interval_seconds": 5}
    make(api, "tools", "mcp", {"url": f"{planner.url}/mcp"}, **slow)
    make(api, "store", "postgres", {"dsn": as_url(planner.database)}, **slow)
    target = {
        "tenant": "contoso",
        "client_id": "check",
        "client_secret": "no-secret-at-all",
        "authority": graph.url,
        "base_url": f"{graph.url}/v1.0",
        "path": "/me/planner/tasks",
    }
    make(api, "graph", "microsoft_graph", target, **slow)
    make(api, "all", "composite", {"members": ["tools", "store", "graph"]})
    until(lambda: all_up(api), PATIENCE)
    graph.http.put("/_faults", json={"kind": "unavailable", "rate": 1})
    until(lambda: states(api)["graph"][0] == "down", PATIENCE)
    until(lambda: states(api)["all"] == ("unreachable", "graph"), PATIENCE)
    rows = {row["name"]: row for row in api.get("health/checks").json()["items"]}
    assert "503" in str(rows["graph"])
    assert "no-secret-at-all" not in str(rows)
    graph.http.delete("/_faults")
    until(lambda: all_up(api), PATIENCE)


def test_a_killed_database_is_named_with_its_words_and_comes_back(
    api: httpx.Client, probing: None
) -> None:
    with postgres_pair() as engines:
        make(api, "killed", "postgres", {"dsn": engines.primary.dsn})
        until(lambda: all_up(api), PATIENCE)
        os.kill(engines.primary.process.pid, signal.SIGKILL)
        until(lambda: states(api)["killed"][0] == "down", PATIENCE)

        def told() -> str:
            (row,) = api.get("health/checks").json()["items"]
            return str(row)

        # The first words may be those of a connection that broke in the middle.
        until(lambda: "refused" in told(), PATIENCE)
