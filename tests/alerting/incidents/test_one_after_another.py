"""Faults and symptoms one after the other: what goes on, what is another, what is opened again."""

from __future__ import annotations

import pytest

from tests.alerting.incidents.scene import (
    breakers,
    chains,
    check,
    fire,
    follow,
    incident_of,
    of_check,
    over,
)

THROTTLED = "Client error '<num> Too Many Requests' for url 'http://<ip>/<path>'"


def test_a_fault_that_begins_while_the_budget_still_burns_is_another_incident() -> None:
    breakers("planner", "database", "microsoft_graph")
    chains(30, "planner", root="planner", minute=0)
    first = fire("breaker_open", minute=0, breaker="database")
    burn = fire("slo_burn_fast", minute=2, slo="s1")
    follow(2)
    over(first, 3)
    follow(4)
    assert incident_of(burn) == incident_of(first)
    assert incident_of(burn).state == "open"
    second = fire("breaker_open", minute=12, breaker="microsoft_graph")
    slower = fire("slo_burn", minute=13, slo="s1")
    errors = fire("pattern_new", minute=13, severity="ticket", facts={"template": THROTTLED})
    follow(13)
    follow(14)
    assert incident_of(second) != incident_of(first)
    # What tells more of the first is part of it, and pulls the second into it no more than this.
    assert incident_of(slower) == incident_of(burn)
    assert incident_of(errors) == incident_of(second)


def test_a_symptom_goes_to_the_fault_that_lasts() -> None:
    """One that just ended could open again, but does not explain what begins now."""
    breakers("planner", "database", "microsoft_graph")
    chains(30, "planner", root="planner", minute=0)
    lasting = fire("breaker_open", minute=0, breaker="database")
    ended = fire("breaker_open", minute=0.2, breaker="microsoft_graph")
    follow(1)
    over(ended, 2)
    follow(2)
    burn = fire("slo_burn", minute=3, slo="s1")
    follow(3)
    assert incident_of(ended).state == "resolved"
    assert incident_of(burn) == incident_of(lasting)


@pytest.mark.parametrize("severity", ["ticket", "page"])
def test_what_is_open_comes_before_an_outage_of_the_same_call_that_just_ended(
    severity: str,
) -> None:
    """Of one call there is a ticket for hours, and lately it failed altogether."""
    stands = fire("slow", minute=-180, severity="ticket", breaker="graph")
    follow(-179)
    outage = fire("breaker_open", minute=-9, breaker="graph")
    follow(-8)
    over(outage, -6)
    follow(-5)
    assert incident_of(outage) != incident_of(stands)
    again = fire("retry_budget_exhausted", minute=-3, severity=severity, dependency="graph")
    follow(-2)
    # What is as urgent as the outage opens it again: nobody has looked at the ticket for hours.
    assert incident_of(again) == incident_of(stands if severity == "ticket" else outage)
    assert incident_of(again).state == "open"


def test_a_symptom_goes_to_the_ticket_that_lasts_before_an_outage_that_ended() -> None:
    breakers("planner", "database", "microsoft_graph")
    lasting = fire("slow", minute=0, severity="ticket", breaker="database")
    ended = fire("breaker_open", minute=0.2, breaker="microsoft_graph")
    follow(1)
    over(ended, 2)
    follow(2)
    symptom = fire("error-rate", minute=3, severity="ticket")
    follow(3)
    assert incident_of(symptom) == incident_of(lasting)
    assert incident_of(ended).alerts.count() == 1


@pytest.mark.parametrize("minute", [1, 4])
def test_what_another_check_says_of_a_service_joins_what_lasts_and_opens_nothing_again(
    minute: int,
) -> None:
    http, tools = check("planner-http", "planner"), check("planner-tools", "planner")
    first = of_check(http, 0, "503")
    follow(0.5)
    if minute > 2:
        over(first, 2)
        follow(2)
    second = of_check(tools, minute, "no tools")
    follow(minute)
    assert (incident_of(second) == incident_of(first)) is (minute < 2)
    over(first, 5)
    over(second, 5)
    follow(5)
    # What is the same opens it again.
    again = of_check(http, 7, "503")
    follow(7)
    assert incident_of(again) == incident_of(first)
    assert incident_of(again).state == "open"
