"""Other ways to start: an ordinary user, two sites at once, engines from elsewhere."""

from __future__ import annotations

import json
import os
import pwd
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from resilience_site.embedded.accounts import run_as
from resilience_site.embedded.folders import Account
from tests.collected import seed
from tests.embedded.conftest import Starter
from tests.embedded.running import closed_and_clean, until
from tests.engines import drop_database
from tests.ports import free_port

pytestmark = pytest.mark.timeout(600)

# Two of them are looked at where processes are killed.
ONE_WEB = {"RESILIENCE_WEB_PROCESSES": "1"}


@pytest.fixture
def ordinary() -> Iterator[tuple[list[str], Path]]:
    """How to start as a user without rights, and a folder of that user."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory(prefix="rcp-user-") as own:
            yield [], Path(own)
        return
    entry = pwd.getpwnam("nobody")
    account = Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    with tempfile.TemporaryDirectory(prefix="rcp-user-") as own:
        os.chown(own, account.uid, account.gid)
        # The interpreter or the checkout may lie below a folder that is closed to that user.
        prefix = run_as(account, home=Path(own), program=Path(sys.executable))
        yield prefix, Path(own)


def test_an_ordinary_user_beside_another_site(
    ordinary: tuple[list[str], Path], hard_state: Path, start: Starter
) -> None:
    prefix, own = ordinary
    first = start(seed(hard_state), changes=ONE_WEB)
    second = start(own / "state", prefix=prefix, changes=ONE_WEB | {"HOME": str(own)}).ready()
    first.ready()

    assert second.named("postgres").username() == second.named("web").username()
    until(lambda: (first.status(), second.status()) == (200, 200), 60, "readiness of both")

    assert second.interrupt() == 0
    closed_and_clean(second)
    until(lambda: first.status() == 200, 60, "readiness of the other")


@pytest.fixture
def other_database() -> Iterator[str]:
    """An empty database beside the one of the tests."""
    url = os.environ["DATABASE_URL"]
    name = f"external_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        drop_database(connection, name)


def test_with_both_urls_nothing_embedded_starts(
    other_database: str, tmp_path: Path, start: Starter
) -> None:
    changes = ONE_WEB | {"DATABASE_URL": other_database, "REDIS_URL": os.environ["REDIS_URL"]}

    up = start(seed(tmp_path / "state"), changes=changes).ready()

    until(lambda: up.status() == 200, 60, "readiness")
    assert up.pids("postgres") == up.pids("valkey") == set()
    assert not (up.state / "postgres").exists()
    assert not (up.state / "valkey").exists()
    assert up.interrupt() == 0


def test_with_one_url_only_the_other_engine_is_embedded(
    other_database: str, tmp_path: Path, start: Starter
) -> None:
    changes = ONE_WEB | {
        "DATABASE_URL": other_database,
        "RESILIENCE_ALLOWED_HOSTS": "status.example.com",
    }

    up = start(seed(tmp_path / "state"), changes=changes).ready()

    until(lambda: up.status("status.example.com") == 200, 60, "readiness")
    assert up.pids("postgres") == set()
    assert len(up.pids("valkey")) == 1
    assert up.interrupt() == 0


def test_a_wrong_value_stops_the_start_with_one_sentence(tmp_path: Path, start: Starter) -> None:
    up = start(tmp_path / "state", changes={"RESILIENCE_WEB_PROCESSES": "many"})

    assert up.wait() == 2
    assert len(up.lines) == 1
    assert "RESILIENCE_WEB_PROCESSES" in up.output
    assert "many" in up.output
    assert not (tmp_path / "state" / "postgres").exists()


def test_the_demo_has_a_cache_and_a_database_of_its_own(tmp_path: Path, start: Starter) -> None:
    changes = ONE_WEB | {
        "PLANNER_MCP_PORT": str(free_port()),
        "GRAPH_SIM_PORT": str(free_port()),
        "DEMO_SCENARIO": "off",
    }

    up = start(seed(tmp_path / "state"), changes=changes, words=["--demo"]).ready()

    until(lambda: up.status() == 200, 60, "readiness")
    assert len(up.pids("valkey")) == 2
    kept = json.loads((up.state / "kept.json").read_text(encoding="utf-8"))
    with psycopg.connect(kept["DATABASE_URL"]) as connection:
        owners = connection.execute(
            "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname <> 'postgres'"
        ).fetchall()
    assert {("resilience", "resilience"), ("planner", "planner")} <= set(owners)
    assert up.interrupt() == 0
    closed_and_clean(up)


def test_a_taken_port_of_the_demo_is_named(tmp_path: Path, start: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        changes = {"GRAPH_SIM_PORT": str(port), "PLANNER_MCP_PORT": str(free_port())}
        up = start(tmp_path / "state", changes=changes, words=["--demo"])

        assert up.wait() == 2
        assert f"GRAPH_SIM_PORT is {port}, but port {port} of 127.0.0.1 is already in use" in (
            up.output
        )
