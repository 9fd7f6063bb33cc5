"""What to do about an incident: where it began first, then what its rules advise, each once."""

from __future__ import annotations

from collections.abc import Sequence

from alerting.domain.steps import Step, Told, steps_of
from alerting.models import Alert
from alerting.selectors.incident_page import incident_view
from alerting.selectors.incidents import incident_alerts
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import check, fire, follow, incident_of

GRAPH = {"service": "graph", "evidence": [{"kind": "chains", "text": "9", "link": "/chains"}]}


def say(alert: Alert, details: str, *, runbook: str = "", held: bool = False) -> None:
    alert.annotations |= {"details": details, "runbook_url": runbook}
    alert.suppressed_by = [{"kind": "inhibition", "id": "1", "text": "x"}] if held else []
    alert.save()


def burns(service: str, *, held: bool = False) -> None:
    """A budget burns, as the shipped rules tell it."""
    text = f"At 14.4 or faster: burns at 166 over 1 h, 160 over 5 min, of {service}."
    alert = fire("slo_burn_fast", service, minute=-9, facts={"text": text}, slo=service)
    say(alert, text, runbook="/runbooks/slo_burn_fast", held=held)


def steps(alert: Alert) -> Sequence[Step]:
    view = incident_view(incident_of(alert).id, now=scene.NOW)
    assert view is not None
    return view.steps


def test_many_budgets_that_burn_leave_room_for_what_is_to_be_done() -> None:
    """An outage of ten services, each with an objective; the alert that says most came last."""
    failing = check("graph-call", "graph", "down")
    for n in range(10):
        burns(f"s{n}", held=n > 3)
    breaker = fire(minute=-8, breaker="graph", summary="Breaker graph of planner is open")
    say(breaker, "Look at what graph answers.", runbook="/runbooks/breaker_open")
    called = fire("critical_check_failed", "graph", minute=-7, severity="page")
    say(called, "Connection refused.")
    held = fire("check_failed", "planner", minute=-6, severity="ticket")
    say(held, "It is only a symptom.", held=True)
    follow(-5)
    incident = incident_of(breaker)
    Alert.objects.update(incident=incident)
    incident.cause = GRAPH
    incident.keys.get_or_create(key=f"check:{failing.id}")
    incident.save()
    found = steps(breaker)
    assert [each.text for each in found] == [
        "Look at graph, where it probably began",
        "See what the failing check found, and run it again",
        "See what is different about the calls that fail",
        "Follow the runbook of “Breaker graph of planner is open”",
        "critical_check_failed",
        "Follow the runbook of “slo_burn_fast”",
        "Compare all services of this time",
    ]
    assert found[1].link == f"/health/checks/{failing.id}"
    assert found[3].detail == "Look at what graph answers."
    # Figures of a budget are no advice.
    assert found[5].detail == ""
    # Of equal urgency, those that people are told of stand first.
    held_back = [bool(each.suppressed_by) for each in incident_alerts(incident.id)]
    assert held_back == [False] * 6 + [True] * 7


def test_where_the_cause_is_not_known_the_services_are_compared_first() -> None:
    alert = fire(minute=-8)
    say(alert, "Look at what graph answers.", held=True)
    follow(-7)
    found = steps(alert)
    assert [each.text for each in found] == [
        "Compare all services of this time",
        # Nobody is told of any of its alerts: what they say is better than nothing.
        "breaker-open",
    ]
    assert found[1].link == f"/alerts/{alert.id}"


def test_the_check_that_most_speaks_for_the_cause_is_the_one_to_look_at() -> None:
    cause = {"service": "pg", "evidence": [{"link": "/chains"}, {"link": "/health/checks/c9"}]}
    found = steps_of([], cause, ["check:c1", "root:pg"], "?since=1")
    assert [each.link for each in found] == [
        "/services/pg?since=1",
        "/health/checks/c9",
        "/what-changed?since=1&service=pg",
        "/root-cause?since=1",
    ]
    assert steps_of([], {}, ["breaker:a/b", "check:c1"], "?")[0].link == "/health/checks/c1"


def test_however_many_rules_fire_the_steps_are_few() -> None:
    alerts = [Told(f"r{n}", f"summary {n}", "Do that.", "", f"/alerts/{n}") for n in range(30)]
    found = steps_of([*alerts, *alerts], GRAPH, ["check:c1"], "?")
    assert len(found) == 8
    assert [each.text for each in found[3:7]] == [f"summary {n}" for n in range(4)]
    assert found[7].link == "/root-cause?"
