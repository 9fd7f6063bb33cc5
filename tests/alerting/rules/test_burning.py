"""Budgets that burn, from the stored calls of a service to what people read, row by row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from alerting.models import Alert, Delivery
from alerting.services.dispatch import alerts_dispatch
from alerting.services.rules.shipped import rules_ship
from alerting.services.shipped_routing import routing_ship
from tests.alerting.pipeline.scene import channel_made
from tests.alerting.rules.history import START, at, live, only
from tests.analytics.slos.scenes import DAY, HOUR, calls, known, slo

pytestmark = pytest.mark.django_db

ROWS = ("slo_burn_fast", "slo_burn", "slo_burn_slow")
# Each kind of objective by what makes a call bad for it.
KINDS: dict[str, dict[str, Any]] = {
    "availability": {"kind": "availability"},
    "latency": {"kind": "latency", "threshold_ms": 500},
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The site as it comes, its rules begun, with an objective of 99 % and quiet days behind it."""
    routing_ship()
    channel_made("chat")
    rules_ship(now=at(0))
    only(*ROWS)
    known("planner")
    slo("planner", objective=0.99, **KINDS[request.param])
    return str(request.param)


def traffic(kind: str, since: float, until: float, total: int, bad: int) -> None:
    """Calls in each minute, so many of them bad for an objective of the kind, and for no other."""
    failed, slow = (bad, 0) if kind == "availability" else (0, bad)
    calls("planner", at(since), at(until), lambda moment: (total, failed), slow=slow)


def quiet_days(kind: str, total: int, bad: int) -> None:
    """The same of each hour of the three days before."""
    failed, slow = (bad, 0) if kind == "availability" else (0, bad)
    since = START - 3 * DAY - HOUR
    calls("planner", since, START, lambda moment: (total, failed), slow=slow, every=HOUR)


def watch(seconds: Iterable[int]) -> None:
    """Evaluate and tell at each of these times."""
    for each in seconds:
        live([each])
        alerts_dispatch(now=at(each))


def rows() -> dict[str, Any]:
    """What there is of each row of the table: its state, and by which rows it is held."""
    names = {str(each.pk): each.rule_name for each in Alert.objects.all()}
    return {
        each.rule_name: (each.state, sorted(names[why["alert"]] for why in each.suppressed_by))
        for each in Alert.objects.all()
    }


def told() -> list[tuple[str, list[tuple[str, str]]]]:
    """The messages in their order: status, and the alerts that each lists."""
    found = Delivery.objects.order_by("created_at", "message__severity")
    return [
        (
            each.message["status"],
            sorted((alert["rule"], alert["status"]) for alert in each.message["alerts"]),
        )
        for each in found
    ]


def test_of_a_fast_burn_people_hear_by_the_highest_row_that_holds(kind: str) -> None:
    quiet_days(kind, 1_000, 0)
    live([120])
    traffic(kind, 0, 600, 100, 0)
    # A quarter of an hour in which every call is bad.
    traffic(kind, 600, 1_500, 100, 100)
    traffic(kind, 1_500, 28_800, 100, 0)
    watch((840, 1_080, 1_320, 1_560))
    assert rows() == {
        "slo_burn_fast": ("firing", []),
        "slo_burn": ("firing", ["slo_burn_fast"]),
        "slo_burn_slow": ("firing", ["slo_burn", "slo_burn_fast"]),
    }
    first = [("firing", [("slo_burn_fast", "firing")])]
    assert told() == first
    fast = Alert.objects.get(rule_name="slo_burn_fast")
    assert (fast.severity, fast.labels["kind"]) == ("page", kind)
    assert f"planner burns its {kind} budget" in str(Delivery.objects.get().message)
    assert fast.facts["value"] >= 14.4
    # Five minutes are good: the fastest row ends, and holds on the lower ones, whose windows are longer.
    watch((1_860, 1_980, 2_280, 2_580))
    assert rows() == {
        "slo_burn_fast": ("resolved", []),
        "slo_burn": ("firing", ["slo_burn_fast"]),
        "slo_burn_slow": ("firing", ["slo_burn", "slo_burn_fast"]),
    }
    over = [("resolved", [("slo_burn_fast", "resolved")])]
    assert told() == first + over
    # Half an hour is good, and six hours: nobody is called a second time for what is over.
    watch((*range(2_880, 4_500, 300), 16_000, 23_000, 24_000, 25_000))
    assert {state for state, _ in rows().values()} == {"resolved"}
    assert told() == first + over


def test_a_slow_burn_is_a_ticket_alone_and_over_once_it_stops(kind: str) -> None:
    # Just within the budget, until twice as much is bad.
    quiet_days(kind, 6_000, 59)
    live([120])
    assert not Alert.objects.exists()
    traffic(kind, 0, 7_200, 100, 2)
    traffic(kind, 7_200, 36_000, 100, 0)
    watch(range(1_200, 7_200, 1_200))
    slow = Alert.objects.get()
    assert (slow.rule_name, slow.severity, slow.state) == ("slo_burn_slow", "ticket", "firing")
    assert slow.labels["kind"] == kind
    assert 1 <= slow.facts["value"] < 1.2
    assert slow.annotations["details"].startswith("At 1 or faster")
    assert told() == [("firing", [("slo_burn_slow", "firing")])]
    assert Delivery.objects.get().message["severity"] == "ticket"
    watch(range(9_000, 18_000, 1_800))
    assert rows() == {"slo_burn_slow": ("resolved", [])}
    assert told()[1:] == [("resolved", [("slo_burn_slow", "resolved")])]


def test_calls_that_are_bad_for_one_objective_burn_no_other(kind: str) -> None:
    quiet_days(kind, 1_000, 0)
    live([120])
    other = next(each for each in KINDS if each != kind)
    traffic(other, 0, 1_500, 100, 100)
    watch((840, 1_560))
    assert not Alert.objects.exists()
