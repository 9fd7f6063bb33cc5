"""The real planner leaks its pool and loses its cache; the real site tells it to mend."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from psycopg import conninfo

from breakers.models import Instance
from healing.actions.base import Context
from tests.breakers.e2e.conftest import SteeredPlanner, steered_planner
from tests.demo.graph import Graph
from tests.healing.actions.software.acting import act, context, effect
from tests.livesite import LiveSite
from tests.patience import until

# As many connections as its pool has.
LEAKED = 5


@pytest.fixture
def planner(
    site: LiveSite, faulty_graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SteeredPlanner]:
    monkeypatch.setenv("PLANNER_FAULTS", "on")
    with steered_planner(faulty_graph, site.url, site.ingest_key) as running:
        until(lambda: Instance.objects.filter(service="planner-mcp-server").exists())
        yield running


def leak(planner: SteeredPlanner) -> None:
    answer = httpx.post(f"{planner.url}/_faults/leak", params={"connections": LEAKED}, timeout=60)
    answer.raise_for_status()
    # A probe that was slow fails as well.
    until(lambda: planner.health().json()["pool"]["used"] == LEAKED and not well(planner))


def well(planner: SteeredPlanner) -> bool:
    return planner.health().status_code == 200


def step() -> Context:
    """One with time for a planner, a site and a database that share a busy machine."""
    return context(seconds=120)


def test_commands_of_actions_mend_the_planner_and_are_reported_back(
    planner: SteeredPlanner,
) -> None:
    leak(planner)
    given = {"command": "recycle_pool", "parameters": {"grace": 0}}
    assert effect("in_process", given, step()).startswith("Has planner-mcp-server run its")
    acted = act("in_process", given, step())
    assert acted.done.output.endswith(f"succeeded: a new pool; {LEAKED} connections taken back")
    assert acted.finished() is True
    until(lambda: well(planner))

    leak(planner)
    until(lambda: recovered(planner))

    planner.flush_cache()
    emptied = "fail: the cache was emptied"
    until(lambda: planner.health().json()["checks"]["kept_answers"] == emptied)
    warmed = act("in_process", {"command": "warm_cache"}, step())
    assert warmed.done.output.endswith("answers are in the cache")
    until(lambda: well(planner))


def url_of(dsn: str) -> str:
    """A URL for what libpq reads."""
    found = {name: str(value) for name, value in conninfo.conninfo_to_dict(dsn).items()}
    user = quote(found["user"]) + (f":{quote(found['password'])}" if "password" in found else "")
    port = f":{found['port']}" if "port" in found else ""
    return f"postgresql://{user}@{port}/{found['dbname']}?host={quote(found['host'])}"


def recovered(planner: SteeredPlanner) -> bool:
    """Whether the pool is free again, once what is idle for a second was ended."""
    if well(planner):
        return True
    given = {
        "dsn": url_of(planner.database),
        "application": "planner-mcp-server",
        "idle_seconds": 1,
    }
    act("postgres_terminate_idle", given, step())
    return False
