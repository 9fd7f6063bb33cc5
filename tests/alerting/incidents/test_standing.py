"""Alerts that stand for hours or days: a later outage is an incident of its own, as long as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.incidents import NEAR, began
from alerting.models import Incident
from alerting.services.incident_examine import incidents_examine
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import chains, check, fire, follow, incident_of

HOURS_AGO = -140


def keys(incident: Incident) -> set[str]:
    return set(incident.keys.values_list("key", flat=True))


@pytest.mark.parametrize("first", ["ticket", "page"])
def test_an_alert_that_stands_has_not_the_cause_of_a_later_outage(first: str) -> None:
    """Whether it was there before, or another system posts it only now."""
    if first == "ticket":
        ticket = fire("HighErr", minute=HOURS_AGO, severity="ticket")
        follow(HOURS_AGO)
    chains(4, "graph", "planner", root="graph", minute=-3)
    page = fire("error-rate", minute=-2)
    follow(-1)
    if first == "page":
        ticket = fire("HighErr", minute=HOURS_AGO, severity="ticket")
    follow(-1)
    assert follow().merged == 0
    outage, old = incident_of(page), incident_of(ticket)
    assert outage != old
    assert (outage.started_at, old.started_at) == (page.started_at, ticket.started_at)
    assert "root:graph" in keys(outage)
    assert "root:graph" not in keys(old)


def test_a_check_that_began_to_fail_later_does_not_explain_an_alert() -> None:
    failing = check("pg", "database", "down")
    check("planner", "planner", "unreachable", culprit=failing)
    ticket = fire("HighErr", minute=HOURS_AGO, severity="ticket")
    page = fire("error-rate", minute=-1)
    follow()
    assert f"check:{failing.id}" in keys(incident_of(page))
    assert keys(incident_of(ticket)) == {"service:planner"}


def test_a_page_is_no_part_of_a_ticket_that_somebody_has_long_seen() -> None:
    """A budget that burns slowly for days is a ticket; what burns it at once is an outage."""
    slow = fire("slo_burn", minute=HOURS_AGO, severity="ticket", slo="s1")
    follow(HOURS_AGO)
    Incident.objects.update(state="acknowledged", acknowledged_at=scene.at(-120))
    fast = fire("slo_burn_fast", minute=-20, slo="s1")
    follow(-19)
    outage = incident_of(fast)
    assert outage != incident_of(slow)
    assert (outage.state, outage.severity, outage.started_at) == ("open", "page", fast.started_at)
    # What comes of the outage is part of it, not of the ticket, and lets neither take in the other.
    late = fire("pattern_new", minute=-2, severity="ticket", slo="s1")
    assert follow(-1).joined == 1
    assert incident_of(late) == outage
    assert follow().merged == 0
    assert incident_of(slow).severity == "ticket"


def test_tickets_that_led_to_an_outage_are_where_it_began() -> None:
    starts = [fire("slow", minute=n, severity="ticket", breaker="graph") for n in (-50, -34, -20)]
    follow(-20)
    page = fire("breaker-open", minute=-8, breaker="graph")
    follow(-7)
    incident = incident_of(page)
    assert {incident_of(each) for each in starts} == {incident}
    assert (incident.severity, incident.started_at) == ("page", starts[1].started_at)


def test_incidents_that_are_joined_begin_with_what_pages() -> None:
    """Each is of its own until both turn out to have one cause."""
    stands = fire("slow", minute=HOURS_AGO, severity="ticket", breaker="graph")
    again = fire("slow", minute=-9, severity="ticket", breaker="graph")
    page = fire("error-rate", minute=-8, service="agent", breaker="redis")
    follow(-7)
    assert len({incident_of(each) for each in (stands, again, page)}) == 2
    for alert in (again, page):
        incident_of(alert).keys.create(key="root:graph")
    assert follow(-5).merged == 1
    (incident,) = {incident_of(each) for each in (stands, again, page)}
    assert incident.started_at == again.started_at


def test_what_fails_while_an_alert_still_stands_is_not_looked_at_for_its_cause() -> None:
    alert = fire(minute=-60)
    follow(-60)
    chains(8, "graph", "planner", root="graph", minute=-3)
    incidents_examine(now=scene.at(0))
    found = incident_of(alert)
    assert found.examined_at is not None
    assert found.culprit == "planner"
    assert "root:graph" not in keys(found)
    late = fire(minute=-2, severity="page")
    follow()
    assert incident_of(late) != found


NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@given(
    st.lists(
        st.tuples(st.sampled_from(["page", "ticket"]), st.integers(-600, 0)),
        min_size=1,
        max_size=20,
    ),
    st.randoms(use_true_random=False),
)
def test_an_incident_begins_with_an_alert_that_led_to_its_most_urgent_one(
    alerts: list[tuple[str, int]], chance: object
) -> None:
    given_alerts = [(severity, NOW + timedelta(minutes=n)) for severity, n in alerts]
    found = began(given_alerts)
    chance.shuffle(given_alerts)  # type: ignore[attr-defined]
    assert began(given_alerts) == found
    urgent = [at for severity, at in given_alerts if severity == "page"]
    first = min(urgent or [at for _, at in given_alerts])
    led = sorted(at for _, at in given_alerts if found <= at <= first)
    assert led[0] == found
    assert led[-1] == first
    assert all(after - before <= NEAR for before, after in pairwise(led))
    assert not any(found - NEAR <= at < found for _, at in given_alerts)
