"""What an incident is called while it lasts, and once it is over."""

from __future__ import annotations

from alerting.models import Alert
from tests.alerting.incidents.scene import fire, follow, incident_of, over


def title_of(alert: Alert) -> str:
    return incident_of(alert).title


def test_an_incident_is_called_by_what_fires_not_by_what_is_over() -> None:
    opened = fire(minute=0, breaker="graph", summary="Breaker graph is open")
    burn = fire("slo_burn", minute=1, slo="s1", summary="planner burns  its budget")
    follow(1)
    over(opened, 2)
    # A breaker that opens again in a moment is what it was about all the time.
    follow(4)
    assert title_of(burn) == "Breaker graph is open"
    follow(6)
    assert title_of(burn) == "planner burns its budget"
    late = fire("slo_burn_fast", minute=6, slo="s1", summary="planner burns faster")
    follow(7)
    assert (title_of(late), incident_of(late)) == ("planner burns its budget", incident_of(burn))
    # What names a cause says more than what it leads to.
    fire(minute=8, breaker="graph", summary="Breaker graph is open again")
    follow(8)
    assert title_of(burn) == "Breaker graph is open again"
    version = incident_of(burn).version
    follow(9)
    assert incident_of(burn).version == version


def test_a_less_urgent_alert_names_no_incident_however_clear_it_is() -> None:
    page = fire("slo_burn", minute=0, summary="planner burns its budget")
    fire("fallback", minute=0, severity="ticket", dependency="graph", summary="serves fallbacks")
    follow(1)
    assert title_of(page) == "planner burns its budget"


def test_an_incident_that_is_over_keeps_the_title_of_what_it_was_about() -> None:
    opened = fire(minute=0, breaker="graph", summary="Breaker graph is open")
    burn = fire("slo_burn", minute=1, slo="s1", summary="planner burns its budget")
    follow(1)
    over(opened, 2)
    follow(6)
    assert title_of(burn) == "planner burns its budget"
    over(burn, 9)
    follow(9)
    assert incident_of(burn).state == "resolved"
    assert title_of(burn) == "Breaker graph is open"
    follow(10)
    assert title_of(burn) == "Breaker graph is open"


def test_alerts_without_a_summary_are_called_by_their_rule_and_service() -> None:
    alert, of_none = fire("slo_burn", minute=0), fire("disk", "", minute=0)
    follow(1)
    assert (title_of(alert), title_of(of_none)) == ("slo_burn of planner", "disk")
    version = incident_of(alert).version
    follow(2)
    assert incident_of(alert).version == version


def test_of_alerts_that_say_as_much_the_first_names_an_incident() -> None:
    """Whichever was written first."""
    later = fire("slow", minute=2, slo="s1", summary="planner is slow")
    first = fire("slo_burn", minute=1, slo="s1", summary="planner burns its budget")
    follow(3)
    assert title_of(later) == title_of(first) == "planner burns its budget"
    # Once that is over for a while it is called by what goes on, by the first of all afterwards.
    over(first, 4)
    follow(8)
    assert title_of(later) == "planner is slow"
    over(later, 9)
    follow(9)
    assert title_of(later) == "planner burns its budget"
