"""Faults of different calls of one service are different incidents; all that shows one fault is one."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection

from alerting.models import Alert, Incident
from alerting.selectors.incident_beginning import beginning_of
from alerting.services.incident_examine import incident_examine
from analytics.models import CorrelationChain, ErrorPattern
from health.models import Check, CheckStatus, Outage
from resilience_site.core import partitions
from tests.alerting.incidents.scene import (
    at,
    breakers,
    chains,
    check,
    fire,
    follow,
    incident_of,
    of_check,
    over,
)

POOL = '$.checks.database is "fail: PoolTimeout", expected "pass"'
REJECTED = "circuit breaker 'microsoft_graph' is open and rejects calls"
NOT_OF_POOL = ("raph", "planner-tools")
THROTTLED = "Client error '<num> Too Many Requests' for url 'http://<ip>/<path>'"


def failed(of: Check, since: float, until: float | None, output: str) -> None:
    """A confirmed failure of a check; one without an end goes on."""
    Outage.objects.create(
        check_row=of, started_at=at(since), confirmed_at=at(since), announce_at=at(since),
        ended_at=None if until is None else at(until), output=output,
    )  # fmt: skip
    CheckStatus.objects.filter(check_row=of).update(last_output=output)


# --- Two faults at once -----------------------------------------------------------------------


def two_faults(root: str = "planner") -> list[tuple[str, Alert]]:
    """The pool of the planner is empty and Graph throttles it, a quarter of a minute apart; what
    shows them, each with the fault that it is of."""
    breakers("planner", "database", "microsoft_graph", "redis")
    pool = check("planner-pool", "planner")
    graph = check("graph-call", "microsoft-graph")
    failed(pool, 0.4, 0.7, POOL)
    failed(graph, 0.9, 1.9, "Graph is unavailable (503)")
    chains(30, root, "planner", "agent", root=root, minute=0.2)
    spike = {"culprit": root}
    return [
        ("pool", fire("breaker_open", minute=0, breaker="database")),
        ("graph", fire("breaker_open", minute=0.25, breaker="microsoft_graph")),
        ("graph", fire("pattern_new", minute=0.25, severity="ticket",
                       facts={"type": "httpx.HTTPStatusError", "template": THROTTLED})),
        ("graph", fire("fallback_activated", minute=0.3, severity="ticket",
                       dependency="microsoft_graph")),
        ("graph", fire("pattern_new", "agent", minute=0.35, severity="ticket",
                       facts={"type": "ToolCallError", "template": REJECTED})),
        ("pool", of_check(pool, 0.6, POOL)),
        ("graph", fire("error_correlation_spike", "", minute=1.2, facts=spike)),
        ("graph", of_check(graph, 1.4, "Graph is unavailable (503)")),
        ("graph", fire("slo_burn", minute=2.2, slo="s1")),
        ("graph", fire("slo_burn", "agent", minute=2.2, slo="s2")),
    ]  # fmt: skip


def together(told: list[tuple[str, Alert]]) -> dict[str, list[str]]:
    """Of each incident, by the fault of its first alert, the faults of its alerts."""
    found: dict[Incident, list[str]] = {}
    for fault, alert in told:
        found.setdefault(incident_of(alert), []).append(fault)
    assert len({faults[0] for faults in found.values()}) == len(found), "one told as several"
    return {faults[0]: faults for faults in found.values()}


@pytest.mark.parametrize("root", ["planner", "microsoft-graph"])
@pytest.mark.parametrize("one_by_one", [True, False])
def test_two_faults_of_one_service_at_once_are_two_incidents(root: str, one_by_one: bool) -> None:
    told = two_faults(root)
    if one_by_one:
        fired = [alert.fired_at for _, alert in told]
        Alert.objects.update(fired_at=None)
        for (_, alert), at_ in zip(told, fired, strict=True):
            Alert.objects.filter(id=alert.id).update(fired_at=at_)
            follow(3)
    for _ in range(3):
        follow(3)
    found = together(told)
    assert set(found) == {"pool", "graph"}
    assert set(found["pool"]) == {"pool"}
    assert set(found["graph"]) == {"graph"}


def test_what_began_behind_one_call_says_nothing_of_another() -> None:
    """Even where no process has reported its breakers."""
    chains(30, "graph", "planner", root="graph", minute=0)
    first = fire("breaker_open", minute=0, breaker="database")
    second = fire("breaker_open", minute=0.2, breaker="graph")
    follow(1)
    follow(2)
    assert incident_of(first) != incident_of(second)


def test_a_check_that_names_one_call_says_nothing_of_another() -> None:
    breakers("planner", "database", "microsoft_graph")
    check("graph-call", "microsoft-graph")
    pool = check("planner-pool", "planner", "down")
    CheckStatus.objects.filter(check_row=pool).update(last_output=POOL)
    chains(30, "microsoft-graph", "planner", root="microsoft-graph", minute=0)
    first = fire("breaker_open", minute=0, breaker="database")
    second = fire("breaker_open", minute=0.2, breaker="microsoft_graph")
    follow(1)
    follow(2)
    assert incident_of(first) != incident_of(second)
    assert incident_of(first).services == ["planner"]
    assert set(incident_of(second).services) == {"planner", "microsoft-graph"}


def test_what_a_symptom_saw_of_one_fault_pulls_no_other_to_it() -> None:
    breakers("planner", "database", "microsoft_graph")
    pool = check("planner-pool", "planner")
    chains(30, "planner", root="planner", minute=0)
    first = fire("breaker_open", minute=0, breaker="database")
    second = fire("breaker_open", minute=0.2, breaker="microsoft_graph")
    follow(1)
    # The planner fails altogether, which both may have led to.
    check("planner-tools", "planner", "down")
    burn = fire("slo_burn", minute=3, slo="s1")
    follow(3)
    full = of_check(pool, 3.5, POOL)
    follow(4)
    follow(5)
    assert incident_of(burn) == incident_of(second)
    assert incident_of(full) == incident_of(first)
    assert incident_of(first) != incident_of(second)


def test_each_of_two_faults_has_a_cause_of_its_own_that_stays() -> None:
    told = two_faults()
    # Soon after the pool was full again, the planner was restarted.
    failed(check("planner-tools", "planner"), 1.5, 1.6, "refused the connection")
    for fault, alert in told:
        if fault == "pool":
            over(alert, 1.4)
    follow(3)
    pool, graph = incident_of(told[0][1]), incident_of(told[1][1])
    # Long after, Graph fails again and is what fails now.
    again = Check.objects.get(name="graph-call")
    failed(again, 9, None, "Graph is unavailable (503)")
    CheckStatus.objects.filter(check_row=again).update(
        state="down", own_state="down", own_since=at(9), since=at(9)
    )
    for minute in (3, 10, 40):
        for incident in (pool, graph):
            incident.refresh_from_db()
            incident_examine(incident, now=at(minute))
        pool.refresh_from_db()
        graph.refresh_from_db()
        assert pool.culprit == "planner"
        assert "check planner-pool failed from" in pool.cause["text"]
        assert "PoolTimeout" in pool.cause["text"]
        assert pool.cause["confidence"] > 0.8
        assert not any(
            each in told_of["text"] for told_of in pool.cause["evidence"] for each in NOT_OF_POOL
        )
        assert graph.culprit == "microsoft-graph"
        assert graph.cause["confidence"] > 0.8
        evidence = " ".join(each["text"] for each in graph.cause["evidence"])
        assert "check graph-call failed from" in evidence
        assert "since" not in evidence
        assert "planner-pool" not in evidence


def test_what_fails_behind_another_call_explains_little() -> None:
    """However it came about that both are one incident, as by an earlier version."""
    breakers("planner", "database", "microsoft_graph")
    graph = check("graph-call", "microsoft-graph", "down")
    failed(graph, 0.5, None, "Graph is unavailable (503)")
    first = fire("breaker_open", minute=0, breaker="database")
    follow(1)
    incident = incident_of(first)
    more = [fire("breaker_open", minute=0.3, breaker="microsoft_graph"),
            of_check(graph, 0.6, "503")]  # fmt: skip
    Alert.objects.filter(id__in=[each.id for each in more]).update(incident=incident)
    incident.keys.create(key=f"check:{graph.id}")
    incident_examine(incident, now=at(3))
    cause = incident_of(first).cause
    assert cause["confidence"] <= 0.4
    assert cause["text"].startswith("It may have begun in ")


def test_what_began_long_after_an_incident_is_not_its_cause() -> None:
    graph = check("graph-call", "microsoft-graph", "down")
    CheckStatus.objects.filter(check_row=graph).update(own_since=at(8), since=at(8))
    first = fire("slo_burn", minute=0, slo="s1")
    follow(1)
    incident = incident_of(first)
    more = [fire("breaker_open", minute=8, breaker="microsoft_graph"), of_check(graph, 8, "503")]
    Alert.objects.filter(id__in=[each.id for each in more]).update(incident=incident)
    incident.keys.create(key=f"check:{graph.id}")
    incident_examine(incident, now=at(10))
    cause = incident_of(first).cause
    assert {each["kind"] for each in cause["evidence"]} == {"alerts"}
    assert cause["service"] == "planner"


def errors(service: str, error: str, template: str, count: int) -> None:
    """So many errors of one kind in the minute after the beginning."""
    table = next(each for each in partitions.registered() if each.table == "analytics_errorrollup")
    partitions.ensure(table, at(0), at(0))
    pattern = ErrorPattern.objects.create(
        id=uuid4(), service=service, type=error, template=template, rule="", version=1, count=count,
        first_seen=at(0), last_seen=at(0), last_error_id=uuid4(),
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_errorrollup (minute, service, pattern_id, errors) "
            "VALUES (%s, %s, %s, %s)",
            [at(0).replace(second=0), service, pattern.id, count],
        )


def test_errors_that_name_the_call_are_evidence() -> None:
    breakers("planner", "database", "microsoft_graph")
    rejected = "circuit breaker 'database' is open; the last failure was PoolTimeout"
    errors("planner", "CallNotPermitted", rejected, 3)
    errors("planner", "CallNotPermitted", REJECTED, 9)
    alert = fire("breaker_open", minute=0, breaker="database")
    follow(1)
    incident_examine(incident_of(alert), now=at(2))
    evidence = [each["text"] for each in incident_of(alert).cause["evidence"]]
    assert (
        f"3 of 12 errors of planner name database, most: CallNotPermitted: {rejected}" in evidence
    )
    assert not any("microsoft_graph" in each for each in evidence)


def test_checks_and_chains_that_name_another_call_are_no_evidence() -> None:
    """Nothing is known of a service behind the call: what is evidence is of the planner itself."""
    breakers("planner", "database", "microsoft_graph")
    failed(check("planner-pool", "planner"), 0.1, 2, POOL)
    failed(check("planner-tools", "planner"), 0.2, 2, "refused the connection")
    of_pool = chains(6, "planner", root="planner", minute=0.1)
    CorrelationChain.objects.filter(trace_id__in=of_pool).update(
        root_cause_message="circuit breaker 'database' is open and rejects calls"
    )
    of_graph = chains(4, "planner", root="planner", minute=0.1)
    CorrelationChain.objects.filter(trace_id__in=of_graph[:2]).update(root_cause_message=REJECTED)
    alert = fire("breaker_open", minute=0, breaker="microsoft_graph")
    follow(1)
    incident_examine(incident_of(alert), now=at(3))
    cause = incident_of(alert).cause
    assert cause["service"] == "planner"
    told = {each["kind"]: each["text"] for each in cause["evidence"]}
    assert told["check"].startswith("check planner-tools failed from")
    assert told["chains"] == "4 of 10 chains of errors in its time began there"
    assert not any("planner-pool" in each["text"] for each in cause["evidence"])


def test_where_labels_name_no_call_an_incident_began_with_the_only_one_that_words_name() -> None:
    alert = fire("slo_burn", minute=0, slo="s1")
    follow(1)
    incident = incident_of(alert)
    assert beginning_of(incident).name == ""
    incident.keys.create(key="breaker:planner/database")
    began = beginning_of(incident)
    assert (began.service, began.name) == ("planner", "database")
    incident.keys.create(key="breaker:planner/redis")
    assert beginning_of(incident).name == ""


def test_a_cause_outlives_what_it_was_told_from() -> None:
    first = fire("slo_burn", minute=0, slo="s1")
    chains(30, "orders", "planner", root="orders", minute=0)
    follow(1)
    incident_examine(incident_of(first), now=at(2))
    found = incident_of(first)
    assert (found.culprit, found.cause["confidence"]) == ("orders", 0.8)
    CorrelationChain.objects.all().delete()
    # What else came to be is weaker, and later.
    fire("slow", minute=30)
    follow(30)
    incident_examine(incident_of(first), now=at(40))
    assert (incident_of(first).culprit, incident_of(first).cause) == (found.culprit, found.cause)


# --- One fault that shows in many ways --------------------------------------------------------


def one_outage() -> list[Alert]:
    """Graph fails: breaker, check, chains, budgets and errors tell of it."""
    breakers("planner", "database", "microsoft_graph")
    graph = check("graph-call", "microsoft-graph", "down")
    chains(30, "planner", "agent", root="planner", minute=0)
    return [
        fire("breaker_open", minute=0, breaker="microsoft_graph"),
        fire("pattern_new", minute=0.1, severity="ticket", facts={"template": REJECTED}),
        of_check(graph, 0.5, "Graph is unavailable (503)"),
        fire("error_correlation_spike", "", minute=1, facts={"culprit": "planner"}),
        fire("slo_burn", minute=2, slo="s1"),
        fire("slo_burn", "agent", minute=2, slo="s2"),
        fire("slo_burn", "microsoft-graph", minute=3, slo="s3"),
        fire("breaker_open", minute=4, breaker="microsoft_graph"),
    ]


def called_by_two() -> list[Alert]:
    """Graph is called by the agent, too, straight and through the planner."""
    for service in ("graph", "planner"):
        check(f"{service}-is-there", service)
    breakers("planner", "graph", "database")
    breakers("agent", "planner", "graph")
    chains(30, "graph", "planner", "agent", root="graph", minute=0)
    return [
        fire("breaker_open", "planner", minute=0, breaker="graph"),
        fire("breaker_open", "agent", minute=0.1, breaker="graph"),
        fire("breaker_open", "agent", minute=0.2, breaker="planner"),
        fire("slo_burn", "agent", minute=1, slo="s2"),
    ]


def no_way_out() -> list[Alert]:
    """The planner's host lost its network: whatever it calls fails."""
    breakers("planner", "database", "microsoft_graph", "redis")
    return [
        fire("breaker_open", minute=n / 2, breaker=name)
        for n, name in enumerate(["database", "microsoft_graph", "redis"])
    ]


def the_service_itself() -> list[Alert]:
    """A check that names none of its calls fails: the planner itself is ill."""
    breakers("planner", "database", "microsoft_graph")
    tools = check("planner-tools", "planner", "down")
    failed(tools, 0, None, "answers after 30 s")
    return [
        fire("breaker_open", minute=0, breaker="database"),
        fire("breaker_open", minute=0.5, breaker="microsoft_graph"),
        of_check(tools, 1, "answers after 30 s"),
    ]


def two_ways_to_one() -> list[Alert]:
    """Two breakers stand before one service, in which the chains of both began."""
    breakers("planner", "orders_read", "orders_write")
    chains(30, "orders", "planner", root="orders", minute=0)
    return [
        fire("breaker_open", minute=0, breaker="orders_read"),
        fire("breaker_open", minute=0.5, breaker="orders_write"),
    ]


@pytest.mark.parametrize(
    "fault", [one_outage, called_by_two, no_way_out, the_service_itself, two_ways_to_one]
)
@pytest.mark.parametrize("one_by_one", [True, False])
def test_what_shows_one_fault_is_one_incident(
    fault: Callable[[], list[Alert]], one_by_one: bool
) -> None:
    alerts = fault()
    if one_by_one:
        Alert.objects.update(fired_at=None)
        for alert in alerts:
            Alert.objects.filter(id=alert.id).update(fired_at=alert.fired_at)
            follow(5)
    for _ in range(3):
        follow(5)
    assert len({incident_of(alert).id for alert in alerts}) == 1
