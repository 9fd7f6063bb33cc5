"""The graph by the API: drawn, proposed and decided edges, cycles told in words, blast radius."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from analytics.models.partitions import CALL_ROLLUPS
from health.choices import DependencyStatus
from health.models import Dependency, Service
from resilience_site.core import partitions
from tests.health.api.conftest import Api

pytestmark = pytest.mark.django_db
EDGES = "health/graph/dependencies"


@pytest.fixture
def proposed(operator: Api) -> Dependency:
    """Traces saw the portal call the planner."""
    now = datetime.now(UTC)
    operator.make("planner-http", service="planner")
    operator.make("portal-http", service="portal")
    return Dependency.objects.create(
        child_service=Service.objects.get(name="portal"),
        parent_service=Service.objects.get(name="planner"),
        status=DependencyStatus.PROPOSED, calls=1_234, last_seen=now, created_at=now,
    )  # fmt: skip


def test_the_graph_has_nodes_edges_and_what_fails_with_each(operator: Api) -> None:
    net = operator.make("net", service="platform")
    pg = operator.make("pg", service="platform", depends_on=["net"])
    page = operator.make("page", service="portal", depends_on=["pg"], hard=False)
    graph = operator.get("health/graph")
    nodes = {each["name"]: each for each in graph["nodes"]}
    assert {(e["child"], e["parent"], e["hard"]) for e in graph["edges"]} == {
        (pg["id"], net["id"], True),
        (page["id"], pg["id"], False),
    }
    assert {each["status"] for each in graph["dependencies"]} == {"declared"}
    radius = nodes["net"]["blast_radius"]
    assert radius["checks"] == 2
    assert {each["name"] for each in radius["services"]} >= {"portal"}
    assert nodes["page"]["blast_radius"]["checks"] == 0
    assert operator.get(f"health/checks/{net['id']}/blast-radius") == radius


def test_a_blast_radius_carries_the_traffic_of_its_services(operator: Api) -> None:
    operator.make("page", service="portal", depends_on=[operator.make("net")["name"]])
    minute = (datetime.now(UTC) - timedelta(minutes=1)).replace(second=0, microsecond=0)
    partitions.ensure(CALL_ROLLUPS, minute, minute)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_callrollup (minute, service, operation, kind, calls, errors, "
            "duration_ns, duration_max_ns, buckets) "
            "VALUES (%s, 'portal', '', 2, 900, 0, 1, 1, array_fill(0, ARRAY[64]))",
            [minute],
        )
    nodes = {each["name"]: each for each in operator.get("health/graph")["nodes"]}
    radius = nodes["net"]["blast_radius"]
    assert radius["services"][0] == {"name": "portal", "rate": 1.0}
    assert (radius["rate"], radius["window_seconds"]) == (1.0, 900)


def test_an_edge_that_would_close_a_cycle_is_refused_with_the_cycle_in_words(operator: Api) -> None:
    operator.make("net")
    operator.make("pg", depends_on=["net"])
    status, problem = operator("POST", EDGES, {"child": "net", "parent": "pg"})
    assert status == 422
    assert "check net needs check pg" in problem["detail"]
    assert "check pg needs check net" in problem["detail"]
    assert len(operator.get(EDGES)["items"]) == 1


def test_a_proposal_does_not_count_until_somebody_accepts_it(
    operator: Api, proposed: Dependency
) -> None:
    [edge] = operator.get(f"{EDGES}?status=proposed")["items"]
    assert (edge["child"], edge["parent"]) == ("service:portal", "service:planner")
    assert (edge["calls"], edge["last_seen"] is None) == (1_234, False)
    assert operator.get("health/graph")["edges"] == []
    status, accepted = operator(
        "POST", f"{EDGES}/{proposed.id}/accept", {"hard": False, "reason": "they said so"}
    )
    assert (status, accepted["status"], accepted["hard"]) == (200, "accepted", False)
    assert accepted["reason"] == "they said so"
    assert len(operator.get("health/graph")["edges"]) == 1
    assert operator("POST", f"{EDGES}/{proposed.id}/accept")[0] == 422


def test_a_rejected_edge_stays_known(operator: Api, proposed: Dependency) -> None:
    status, edge = operator("POST", f"{EDGES}/{proposed.id}/reject")
    assert (status, edge["status"]) == (200, "rejected")
    assert operator.get("health/graph")["edges"] == []
    assert [e["id"] for e in operator.get("health/graph?status=rejected")["dependencies"]] == [
        str(proposed.id)
    ]


def test_edges_are_listed_by_their_ends_and_removed(operator: Api) -> None:
    operator.make("net")
    operator.make("pg", depends_on=["net"])
    operator.make("page", depends_on=["pg"])
    [edge] = operator.get(f"{EDGES}?q=net")["items"]
    assert (edge["child"], edge["parent"]) == ("check:pg", "check:net")
    assert len(operator.get(f"{EDGES}?status=counting")["items"]) == 2
    assert operator("GET", f"{EDGES}?status=sad")[0] == 422
    assert operator("DELETE", f"{EDGES}/{edge['id']}")[0] == 204
    assert operator("GET", f"{EDGES}/{edge['id']}")[0] == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"child": "pg"}, "body.parent"),
        ({"parent": "pg"}, "body.child"),
        ({"child": "pg", "parent": "nobody"}, "body.parent"),
        ({"child": "pg", "parent": "pg", "hard": 1}, "body.hard"),
        ({"child": "pg", "parent": "pg"}, "body.depends_on"),
    ],
)
def test_an_impossible_edge_is_refused(operator: Api, body: dict[str, object], field: str) -> None:
    operator.make("pg")
    status, problem = operator("POST", EDGES, body)
    assert (status, problem["errors"][0]["field"]) == (422, field)
