"""What the shipped rules make of the journal becomes incidents by its causes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from alerting.models import Alert, Incident
from alerting.services.incident_follow import incidents_follow
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from resilience_site.core.journal import Entry
from tests.alerting.incidents.scene import chains, opened, tell


def test_a_breaker_and_the_check_behind_it_are_one_incident() -> None:
    now = datetime.now(UTC)
    rules_ship(now=now - timedelta(minutes=1))
    rules_evaluate(now=now - timedelta(seconds=30))
    key = str(uuid4())
    failed = {
        "check": {"id": key, "name": "graph-http", "kind": "http"},
        "culprit": {"id": key, "name": "graph-http"},
        "critical": True, "since": now.isoformat(), "failures": 3, "output": "503", "evidence": [],
    }  # fmt: skip
    chains(5, "graph", "planner", root="graph")
    tell(
        opened("planner", "graph", reason="12 of 20 calls failed"),
        Entry("health", "failure_confirmed", key, "down", "graph", failed),
        opened("billing", "ledger"),
    )
    later = datetime.now(UTC) + timedelta(seconds=1)
    rules_evaluate(now=later)
    rules = set(Alert.objects.filter(state="firing").values_list("rule_name", "service"))
    assert rules >= {
        ("breaker_open", "planner"), ("critical_check_failed", "graph"), ("breaker_open", "billing"),
    }  # fmt: skip
    incidents_follow(now=later)
    graph = Incident.objects.get(services__contains=["graph"])
    assert set(graph.alerts.values_list("service", flat=True)) == {"graph", "planner"}
    assert {"root:graph", f"check:{key}", "breaker:planner/graph"} <= set(
        graph.keys.values_list("key", flat=True)
    )
    assert graph.severity == "page"
    assert Incident.objects.get(services__contains=["billing"]) != graph


def test_what_an_open_breaker_refuses_is_no_new_error() -> None:
    """It has a stack of its own in every operation: each would be told of."""
    now = datetime.now(UTC)
    rules_ship(now=now - timedelta(minutes=1))
    rules_evaluate(now=now - timedelta(seconds=30))
    types = [
        "breakers.runtime.errors.CallNotPermitted",
        "io.github.resilience4j.circuitbreaker.CallNotPermittedException",
        "httpx.ReadTimeout",
    ]
    tell(
        *(
            Entry("patterns", kind, str(uuid4()), "new", "planner", {"type": each, "template": "x"})
            for kind in ("pattern.new", "pattern.regressed", "pattern.escalating")
            for each in types
        )
    )
    rules_evaluate(now=datetime.now(UTC) + timedelta(seconds=1))
    fired = Alert.objects.filter(rule_name__startswith="pattern_").order_by("rule_name")
    assert list(fired.values_list("rule_name", "labels__error_type")) == [
        ("pattern_escalating", "httpx.ReadTimeout"),
        ("pattern_new", "httpx.ReadTimeout"),
        ("pattern_regressed", "httpx.ReadTimeout"),
    ]
