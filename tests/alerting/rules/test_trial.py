"""A trial over a range is what the live evaluation of that range made, alert for alert."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from alerting.models import Alert, AlertRule
from alerting.services.rules.shipped import rules_ship
from alerting.services.rules.store import rule_update
from alerting.services.rules.trial import rule_trial
from health.models import Outage
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid
from tests.alerting.rules.history import (
    alerts_live,
    alerts_tried,
    at,
    breaker,
    live,
    only,
    write,
)
from tests.analytics.figures.history import write_calls
from tests.analytics.slos.scenes import slo
from tests.health.availability.fleet import make_check

pytestmark = pytest.mark.django_db
ANN = Actor.system("ann")


@pytest.fixture(autouse=True)
def shipped() -> Iterator[None]:
    rules_ship(now=at(-10))
    yield
    assert not AlertRule.objects.exclude(fault="").exists()


def storm(seed: int, minutes: int, after: float = 0.0) -> None:
    """Breakers that open and close at random, with turns of the evaluation between."""
    chance = random.Random(seed)
    seconds = after
    while seconds < after + minutes * 60:
        seconds += chance.expovariate(1 / 25)
        breaker(
            seconds, chance.choice(["open", "half_open", "closed", "closed"]),
            chance.choice(["graph", "redis"]), chance.choice(["i-1", "i-2"]),
        )  # fmt: skip
        if chance.random() < 0.4:
            live([seconds + chance.uniform(0, 0.5)])
    live([after + minutes * 60 + 60])


@pytest.mark.parametrize("hold", [0, 45])
def test_over_the_journal_it_equals_the_live_alerts(hold: int) -> None:
    only("breaker_open")
    AlertRule.objects.filter(name="breaker_open").update(for_seconds=hold)
    storm(7 + hold, 25)
    made = alerts_live("breaker_open", 1500)
    assert len(made) > 2
    assert alerts_tried("breaker_open", 0, 1560, 1570) == made
    # A part of the range: those that fire within, whenever they began.
    middle = made[0][2] + timedelta(seconds=1)
    part = [each for each in made if each[2] >= middle]
    assert 0 < len(part) < len(made)
    assert alerts_tried("breaker_open", (middle - at(0)).total_seconds(), 1560, 1570) == part


def test_it_names_the_alerts_that_live_made_and_where_to_look() -> None:
    only("breaker_open")
    live([0])
    breaker(10, "open")
    live([11])
    rule = AlertRule.objects.get(name="breaker_open")
    trial = rule_trial(rule, since=at(0), until=at(100), now=at(200))
    assert (trial.fired, trial.words) == (1, "It would have fired once.")
    (tried,) = trial.alerts
    assert tried.alert_id == rule.alerts.get().pk
    assert tried.link == "/breakers/key-of-graph"
    assert tried.summary == "Breaker graph of planner is open"
    assert trial.notes == []


def test_silence_and_quiet_are_the_same_live_and_tried() -> None:
    only("ingest_key_silent", "fallback_activated")
    for minute in (0, 1, 2, 30, 31, 50):
        write(minute * 60, "ingest", "key.heard", "7", "", "", name="planner's", prefix="rcp_i_")
        write(minute * 60 + 1, "fallbacks", "fallback.served", "planner", "graph")
        live([minute * 60 + 2, minute * 60 + 7.5])
    live(range(3100, 4300, 50))
    for rule, count in (("ingest_key_silent", 3), ("fallback_activated", 3)):
        made = alerts_live(rule, 4200)
        assert len(made) == count, rule
        assert alerts_tried(rule, 0, 4200, 4290) == made


def test_a_rule_that_is_switched_on_tells_what_holds_and_not_what_is_over() -> None:
    only("breaker_open")
    breaker(0, "open", "redis")
    breaker(5, "closed", "redis")
    breaker(10, "open", "graph")
    AlertRule.objects.filter(name="breaker_open").update(enabled=False)
    live([590])
    rule_update(name="breaker_open", fields={"enabled": True}, actor=ANN, now=at(590.5))
    live([592])
    # Whether it holds is known for good once what was being written then has come.
    assert alerts_live("breaker_open", 600) == []
    live([605])
    (made,) = alerts_live("breaker_open", 600)
    assert dict(made[0])["breaker"] == "graph"
    assert made[1:] == (at(10), at(590.5), None)
    assert alerts_tried("breaker_open", 590.5, 700, 710) == [made]
    # Before, it says what would have fired, and which alert came of it.
    rule = AlertRule.objects.get(name="breaker_open")
    trial = rule_trial(rule, since=at(-60), until=at(700), now=at(710))
    assert {(each.labels["breaker"], each.fired_at) for each in trial.alerts} == {
        ("redis", at(0)), ("graph", at(10)),
    }  # fmt: skip
    assert [each.labels["breaker"] for each in trial.alerts if each.alert_id] == ["graph"]
    assert "nothing that fired before fired by it, and what held then fired then" in trial.notes[0]


@pytest.mark.parametrize("keep", [0, 8])
def test_a_rule_that_changes_amid_its_history_writes_none_of_it(keep: int) -> None:
    only("breaker_open")
    AlertRule.objects.filter(name="breaker_open").update(enabled=False)
    for number in range(3):
        breaker(60 + number, "open", "redis", f"i-{number}")
    storm(11, 12)
    changed = 725.25
    rule_update(
        name="breaker_open", fields={"enabled": True, "keep_firing_seconds": keep},
        actor=ANN, now=at(changed),
    )  # fmt: skip
    storm(13, 25, after=changed)
    made = alerts_live("breaker_open", 2280)
    assert len(made) > 2
    assert min(each[2] for each in made) == at(changed)
    assert alerts_tried("breaker_open", changed, 2280, 2290) == made


def test_words_that_change_let_alerts_go_on() -> None:
    only("breaker_open")
    AlertRule.objects.filter(name="breaker_open").update(keep_firing_seconds=600)
    live([0])
    breaker(10, "open")
    breaker(20, "closed")
    live([40])
    rule_update(name="breaker_open", fields={"title": "Other words"}, actor=ANN, now=at(50))
    live([60, 80])
    (made,) = alerts_live("breaker_open", 600)
    assert made[2:] == (at(10), None)
    live([700])
    (made,) = alerts_live("breaker_open", 600)
    assert made[2:] == (at(10), at(620))
    assert alerts_tried("breaker_open", 5, 690, 800) == [made]


def of_planner(errors: int, since: int, until: int) -> None:
    """A hundred calls in each of these minutes, so many of which failed."""
    write_calls("planner", at(60 * since), at(60 * until), lambda _: (100, errors, 1.0))


@pytest.mark.parametrize(
    ("fields", "over", "why", "again"),
    [
        # By these numbers it fires all the same, until so long after it held last.
        ({"threshold": 0.08}, 900 + 600, None, 0),
        ({"hold": 0}, 900 + 600, None, 0),
        ({"keep": 1500}, 900 + 1500, None, 0),
        # By these it is over so long after the dip began, or was never, or is another alert.
        ({"keep": 120}, 360 + 120, None, 1),
        ({"threshold": 0.3}, 500, "the rule was changed", 0),
        ({"hold": 600}, 500, "the rule was changed", 0),
        ({"severity": "info"}, 500, "the rule was changed", 1),
    ],
)
def test_other_numbers_amid_a_dip_neither_end_nor_refire_what_fires_by_them_too(
    fields: dict[str, Any], over: float, why: str | None, again: int
) -> None:
    condition = {
        "type": "figure", "metric": "error_rate", "threshold": 0.05, "window_seconds": 60,
        "services": ["planner"],
    }  # fmt: skip
    only("error_correlation_spike")
    AlertRule.objects.filter(name="error_correlation_spike").update(
        condition=condition, for_seconds=120, keep_firing_seconds=600
    )
    of_planner(10, 0, 5)
    of_planner(0, 5, 9)
    of_planner(10, 9, 14)
    of_planner(0, 14, 60)
    live(range(60, 480, 60))
    before = Alert.objects.get()
    assert (before.state, before.severity) == ("firing", "page")
    rule_update(
        name="error_correlation_spike",
        fields={
            "condition": {**condition, "threshold": fields.get("threshold", 0.05)},
            "for_seconds": fields.get("hold", 120),
            "keep_firing_seconds": fields.get("keep", 600),
            "severity": fields.get("severity", "page"),
        },
        actor=ANN, now=at(490),
    )  # fmt: skip
    live(range(500, 3600, 60))
    before.refresh_from_db()
    assert (before.ended_at, before.facts.get("ended_because")) == (at(over), why)
    later = [each for each in alerts_live("error_correlation_spike", 3600) if each[2] > at(490)]
    assert len(later) == again
    assert alerts_tried("error_correlation_spike", 490, 3400, 3600) == later


@pytest.mark.parametrize("closes", [60, 115])
def test_a_longer_wait_amid_an_outage_ends_nothing(closes: float) -> None:
    """Of what fires as the rule is changed, no new wait is asked."""
    only("breaker_open")
    AlertRule.objects.filter(name="breaker_open").update(for_seconds=5, keep_firing_seconds=300)
    live([0])
    breaker(10, "open")
    live([30])
    rule_update(name="breaker_open", fields={"for_seconds": 600}, actor=ANN, now=at(50))
    live([55, 75])
    breaker(closes, "closed")
    breaker(closes + 30, "open")
    live(range(int(closes) + 45, 300, 20))
    (made,) = alerts_live("breaker_open", 300)
    assert made[2:] == (at(15), None)
    assert alerts_tried("breaker_open", 50, 290, 300) == []


def test_ranges_that_say_nothing_are_refused() -> None:
    rule = AlertRule.objects.get(name="breaker_open")
    with pytest.raises(Invalid, match="at most 7 days"):
        rule_trial(rule, since=at(0) - timedelta(days=8), until=at(0), now=at(60))
    with pytest.raises(Invalid, match="over for long enough"):
        rule_trial(rule, since=at(60), until=at(120), now=at(60))


def noted(name: str, since: float, until: float = 3600) -> str:
    rule = AlertRule.objects.get(name=name)
    return " ".join(rule_trial(rule, since=at(since), until=at(until), now=at(4000)).notes)


def test_it_says_where_history_is_not_what_live_saw() -> None:
    AlertRule.objects.filter(name="error_correlation_spike").update(
        condition={"type": "figure", "metric": "error_rate", "threshold": 0.5}
    )
    for name in ("breaker_open", "slo_burn", "error_correlation_spike"):
        assert noted(name, 0) == ""
        assert "nothing that fired before" in noted(name, -3600)
    AlertRule.objects.update(changed_at=at(-20 * 86_400))
    for name in ("slo_burn", "error_correlation_spike"):
        assert noted(name, -13 * 86_400, -13 * 86_400 + 600) == ""
        assert "known for 14 days" in noted(name, -15 * 86_400, -15 * 86_400 + 600)
    # Of the journal all is known that there is.
    assert noted("breaker_open", -15 * 86_400, -15 * 86_400 + 600) == ""


def test_what_was_stored_late_changed_or_dated_back_is_no_matter_for_a_note() -> None:
    write_calls("planner", at(0), at(300), lambda moment: (10, 0, 1.0))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE analytics_callrollup SET changed_at = minute + interval '1 hour'")
    slo("planner", created_at=at(-9), changed_at=at(60))
    check = make_check("pg", service="store", since=at(-9))
    slo("store", source="checks", created_at=at(-9), changed_at=at(-9))
    Outage.objects.create(
        check_row=check, started_at=at(60), confirmed_at=at(300), announce_at=at(300)
    )
    assert noted("slo_burn", 0) == ""
