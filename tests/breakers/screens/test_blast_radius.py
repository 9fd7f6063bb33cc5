"""Who is affected by an override, as the dialog says before it is requested."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from analytics.selectors.rollups import Edge, Figures
from breakers.models import Breaker, DomainMember, Instance
from breakers.selectors.breakers import breaker_get
from resilience_site.pages.blast_radius import Caller, radius_of
from tests.analytics.store.conftest import forget_all
from tests.breakers import scenes
from tests.breakers.scenes import Scene
from tests.emptying import empty_partitions
from tests.pages import scenes as traffic
from tests.pages.html import PARTIAL, text_of

pytestmark = pytest.mark.django_db


def edge(caller: str, callee: str, calls: int) -> Edge:
    return Edge(caller, callee, Figures(60, calls, 0, 1.0, 1.0, 1.0, 1.0, 1.0))


def test_callers_of_the_service_are_named_with_their_rate(graph: Scene) -> None:
    view = breaker_get(graph.key)
    edges = [
        edge("planning-agent", graph.service, 120),
        edge("planning-agent", graph.service, 60),
        edge("cli", graph.service, 600),
        edge(graph.service, "graph.microsoft.com", 999),
        edge(graph.service, graph.service, 999),
        edge("cli", "billing", 999),
    ]
    radius = radius_of([view], edges)
    assert radius.callers == (Caller("cli", 10.0), Caller("planning-agent", 3.0))
    assert (radius.instances, radius.silent, radius.breakers) == (3, 0, 1)
    assert radius.rate == pytest.approx((view.calls + view.rejected) / 60)


def test_one_instance_carries_its_share(graph: Scene) -> None:
    gone = datetime.now(UTC) - timedelta(minutes=2)
    for model in (Breaker, Instance):
        model.objects.filter(instance="planner-mcp-server-3").update(last_seen=gone)
    view = breaker_get(graph.key)
    one = radius_of([view], [], instance="planner-mcp-server-1")
    assert (one.instances, one.silent) == (1, 0)
    assert one.rate == pytest.approx(view.calls / 60 / 2)
    assert radius_of([view], []).silent == 1
    assert radius_of([view], [], instance="planner-mcp-server-3").silent == 1


def test_the_line_counts_instances_calls_and_callers(
    transactional_db: None, viewer: Client
) -> None:
    empty_partitions()
    forget_all()
    now = datetime.now(UTC)
    traffic.store(list(traffic.hour(now, calls_a_minute=3)), now)
    graph, redis = Scene(*scenes.GRAPH), Scene("planner-mcp-server", "redis")
    scenes.store([graph, redis], now)
    line = text_of(viewer, f"/blast-radius/{graph.key}", headers=PARTIAL)
    assert "<b>Affects 3 live instances</b> of planner-mcp-server:" in line
    assert "calls a second (last 60 s). Called by planning-agent (" in line
    assert line.rstrip().endswith("last 15 min.</p>")
    for scene in (graph, redis):
        DomainMember.objects.create(
            domain="eu/1", service=scene.service, name=scene.name, source="set"
        )
    for path in (
        f"/blast-radius/{graph.key}?scope=domain:eu/1",
        "/blast-radius/domain?domain=eu/1",
    ):
        assert "3 live instances</b> with 2 breakers of planner-mcp-server" in text_of(viewer, path)
    one = text_of(viewer, f"/blast-radius/{graph.key}?scope=instance:planner-mcp-server-1")
    assert "Affects 1 live instance</b>" in one


def test_what_is_not_there_is_not_found(viewer: Client, graph: Scene) -> None:
    assert viewer.get(f"/blast-radius/{'0' * 16}").status_code == 404
    assert viewer.get(f"/blast-radius/{graph.key}?scope=domain:mars").status_code == 404
    assert viewer.get("/blast-radius/domain").status_code == 404
