"""The health of the whole: what the contract names, bounded, walked, and nothing made up."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.health.api.conftest import Api
from tests.health.api.test_checks import CONTRACT
from tests.health.world import World

pytestmark = pytest.mark.django_db


def test_a_site_without_checks_knows_nothing(viewer: Api) -> None:
    health = viewer.get("health")
    assert (health["status"], health["score"], health["checks"]) == ("unknown", None, [])
    assert health["services"] == health["availability"] == []


def test_a_dead_database_is_blamed_by_name(viewer: Api) -> None:
    world = World(start=datetime.now(UTC))
    world.check("database")
    world.check("page", "database")
    world.run(60)
    assert viewer.get("health")["status"] == "up"
    world.down = {"database", "page"}
    world.run(180)
    health = viewer.get("health")
    assert health["status"] == "down"
    assert health["score"] < 60
    by_name = {each["name"]: each for each in health["checks"]}
    assert by_name["page"].keys() >= CONTRACT
    assert (by_name["page"]["state"], by_name["page"]["culprit"]) == ("unreachable", "database")
    assert by_name["page"]["culprit_id"] == by_name["database"]["id"]
    assert (by_name["database"]["state"], by_name["database"]["culprit"]) == ("down", None)
    assert by_name["page"]["depends_on"] == ["database"]
    assert [each["name"] for each in health["checks"]] == ["database", "page"]
    assert health["counts"] == {"down": 1, "unreachable": 1}


def test_a_service_tells_its_availability_in_four_windows_without_making_it_up(
    operator: Api,
) -> None:
    operator.make("pg")
    [service] = operator.get("health")["services"]
    assert [each["window"] for each in service["availability"]] == ["24h", "7d", "30d", "90d"]
    for figure in service["availability"]:
        assert (figure["availability"], figure["percent"], figure["met"]) == (None, "n/a", None)
        assert (figure["mttr_seconds"], figure["mtbf_seconds"]) == (None, None)
        assert figure["target"] == 0.999


def test_checks_are_filtered_and_walked_while_the_figures_stay_those_of_all(operator: Api) -> None:
    for name in ("a", "b", "c"):
        operator.make(name, service="billing" if name == "c" else "planner")
    first = operator.get("health?limit=2")
    rest = operator.get(f"health?limit=2&cursor={first['next_cursor']}")
    assert [each["name"] for each in first["checks"] + rest["checks"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None
    narrow = operator.get("health?service=billing")
    assert [each["name"] for each in narrow["checks"]] == ["c"]
    assert [each["name"] for each in narrow["services"]] == ["billing", "planner"]
    assert operator("GET", "health?limit=5001")[0] == 422


@pytest.mark.usefixtures("kept_keys")
def test_the_number_of_queries_does_not_grow_with_the_checks(operator: Api) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            operator.get("health")
        return len(caught)

    operator.make("a")
    queries()
    few = queries()
    for number in range(8):
        operator.make(f"more {number}", service=f"service {number}", depends_on=["a"])
    assert queries() == few


def test_availability_can_be_asked_by_window_and_by_another_policy(operator: Api) -> None:
    made = operator.make("pg")
    path = f"health/checks/{made['id']}/availability"
    found = operator.get(path)
    assert [each["window"] for each in found["windows"]] == ["24h", "7d", "30d", "90d"]
    assert found["policy"] == {"good": ["degraded", "up"], "bad": ["down", "unreachable"]}
    assert found["windows"][0]["latency"]["p95"] is None
    assert set(found["windows"][0]["seconds"]) >= {"up", "maintenance_down"}
    strict = operator.get(f"{path}?window=7d&good=up&bad=down,degraded")
    assert [each["window"] for each in strict["windows"]] == ["7d"]
    assert strict["policy"] == {"good": ["up"], "bad": ["degraded", "down"]}
    for wrong, field in (
        ("window=2h", "query.window"),
        ("good=sunny", "query.good"),
        ("bad=up", "query.bad"),
    ):
        status, problem = operator("GET", f"{path}?{wrong}")
        assert (status, problem["errors"][0]["field"]) == (422, field)
