"""A service that was heard all the time and stops is told of once, while others go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerting.models import Alert, AlertRule
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from alerting.services.rules.trial import rule_trial
from analytics.models import ServiceSilence
from analytics.services.silences import FORGET_AFTER, silences_watch
from health.models import Service
from resilience_site.core import journal
from tests.analytics.figures.history import MINUTE, write_calls

pytestmark = pytest.mark.usefixtures("store")

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
STOPPED = NOW - 16 * MINUTE
HOURS_AGO = NOW - timedelta(hours=3)


def heard(service: str, until: datetime, *, every: timedelta = MINUTE) -> None:
    """Calls since three hours ago, the last of them before `until`."""
    write_calls(service, HOURS_AGO, until, lambda at: (5, 0, 1.0), every=every)
    Service.objects.update_or_create(
        name=service, defaults={"first_seen": HOURS_AGO, "last_seen": until}
    )


def told() -> list[tuple[str, str]]:
    entries = journal.read(0, ["services"])
    return [(each.kind, each.key) for each in entries if each.kind != "service.new"]


def test_it_is_told_once_and_so_is_its_end() -> None:
    heard("planner", STOPPED)
    heard("mail", NOW)
    assert silences_watch(now=NOW - 2 * MINUTE) == 0
    assert silences_watch(now=NOW) == 1
    assert silences_watch(now=NOW + MINUTE) == 0
    Service.objects.filter(name="planner").update(last_seen=NOW + MINUTE)
    assert silences_watch(now=NOW + 2 * MINUTE) == 1
    assert told() == [("service.silent", "planner"), ("service.heard", "planner")]
    assert not ServiceSilence.objects.exists()


def test_a_service_heard_now_and_then_is_not_silent_between() -> None:
    heard("nightly", STOPPED, every=2 * MINUTE)
    heard("mail", NOW)
    assert silences_watch(now=NOW) == 0


@pytest.mark.parametrize("others_since", [None, NOW - 2 * MINUTE])
def test_where_nothing_was_heard_of_anybody_it_is_the_site(others_since: datetime | None) -> None:
    heard("planner", STOPPED)
    heard("mail", STOPPED)
    if others_since is not None:
        # The first that comes back after an outage of the site makes the others not silent.
        write_calls("mail", others_since, NOW, lambda at: (5, 0, 1.0))
        Service.objects.filter(name="mail").update(last_seen=NOW)
    assert silences_watch(now=NOW) == 0


def test_what_is_silent_for_days_counts_as_gone() -> None:
    heard("planner", STOPPED)
    heard("mail", NOW)
    silences_watch(now=NOW)
    assert silences_watch(now=STOPPED + FORGET_AFTER + MINUTE) == 0
    assert not ServiceSilence.objects.exists()


def test_the_rule_makes_it_an_alert_and_can_be_tried_on_it() -> None:
    rules_ship(now=NOW)
    heard("planner", STOPPED)
    heard("mail", NOW)
    silences_watch(now=NOW)
    later = datetime.now(UTC) + timedelta(minutes=1)
    rules_evaluate(now=later)
    alert = Alert.objects.get(rule_name="service_silent")
    assert (alert.service, alert.severity, alert.state) == ("planner", "ticket", "firing")
    assert alert.annotations["summary"] == "Nothing comes from planner any more"
    assert "in 60 of the 60 minutes before" in alert.annotations["details"]
    rule = AlertRule.objects.get(name="service_silent")
    trial = rule_trial(rule, since=HOURS_AGO, until=later, now=later)
    assert [each.alert_id for each in trial.alerts] == [alert.pk]
