"""What an incident is called while it lasts, and once it is over."""

from __future__ import annotations

from alerting.models import Alert, Incident
from alerting.services.incident_examine import incident_examine
from tests.alerting.incidents.scene import at, chains, fire, follow, incident_of, over


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


def blame(alert: Alert, culprit: str) -> None:
    Incident.objects.filter(id=incident_of(alert).id).update(culprit=culprit)


def test_an_incident_is_called_by_what_it_began_in_not_by_its_victims() -> None:
    victim = fire("slo_burn_fast", "checkout", minute=0, slo="s1", summary="checkout burns")
    # A breaker says what fails, but this one stands before another victim.
    fire("breaker_open", "web", minute=0, breaker="checkout", summary="Breaker checkout of web")
    culprit = fire("slo_burn_fast", "payments", minute=1, slo="s2", summary="payments burns")
    chains(3, "checkout", "payments", "web", root="payments")
    follow(1)
    assert incident_of(victim) == incident_of(culprit)
    assert title_of(victim) == "Breaker checkout of web"
    blame(victim, "payments")
    follow(2)
    assert title_of(victim) == "payments burns"
    # It stays so, whatever else of the culprit joins, until one says more.
    fire("slow", "payments", minute=0.5, slo="s3", summary="payments is slow")
    follow(3)
    assert title_of(victim) == "payments burns"
    fire("failed", "payments", minute=3, check_id="c", summary="check of payments fails")
    follow(4)
    assert title_of(victim) == "check of payments fails"
    version = incident_of(victim).version
    follow(5)
    assert incident_of(victim).version == version


def test_what_a_caller_says_of_the_culprit_names_an_incident_before_its_own_troubles() -> None:
    """A breaker names what it stands before as its caller spells it."""
    call = fire(minute=1, breaker="microsoft_graph", summary="Breaker microsoft_graph is open")
    follow(1)
    own = fire("failed", minute=0, check_id="c", summary="check of planner fails")
    Alert.objects.filter(id=own.id).update(incident=incident_of(call))
    Incident.objects.update(title=own.annotations["summary"])
    follow(1)
    assert title_of(call) == "check of planner fails"
    blame(call, "Microsoft-Graph")
    follow(2)
    assert title_of(call) == "Breaker microsoft_graph is open"


def test_an_incident_without_a_culprit_is_not_called_by_what_is_of_no_service() -> None:
    burn = fire("slo_burn", minute=0, slo="s1", summary="planner burns its budget")
    fire("disk", "", minute=1, slo="s1", summary="The disk is full")
    follow(1)
    follow(2)
    assert title_of(burn) == "planner burns its budget"


def test_what_was_over_before_its_cause_was_known_gets_its_name_once_that_is() -> None:
    victim = fire("slo_burn_fast", "checkout", minute=-2, slo="s1", summary="checkout burns")
    culprit = fire("slo_burn_fast", "payments", minute=-1.5, slo="s2", summary="payments burns")
    chains(4, "checkout", "payments", root="payments", minute=-3)
    for alert in (victim, culprit):
        over(alert, -0.5)
    follow(-0.4)
    assert (incident_of(victim), title_of(victim)) == (incident_of(culprit), "checkout burns")
    incident_examine(incident_of(victim), now=at(1))
    assert incident_of(victim).state == "resolved"
    assert (incident_of(victim).culprit, title_of(victim)) == ("payments", "payments burns")
