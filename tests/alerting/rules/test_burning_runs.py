"""A check that answers slowly, from its stored results to what people read and are told is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from alerting.models import Alert, AlertRule, Delivery
from alerting.services.rules.shipped import rules_ship
from alerting.services.rules.trial import rule_trial
from alerting.services.shipped_routing import routing_ship
from analytics.models import Slo
from health.models import Check, Maintenance
from resilience_site.config import config
from tests.alerting.pipeline.scene import channel_made
from tests.alerting.rules.history import START, alerts_live, alerts_tried, at, live, only
from tests.alerting.rules.test_burning import told, watch
from tests.analytics.slos.scenes import DAY, MINUTE, runs, slo
from tests.health.availability.fleet import change, make_check

pytestmark = pytest.mark.django_db

FAST = "slo_burn_fast"
QUICK, SLOW = 40.0, 900.0


@pytest.fixture
def search() -> tuple[Check, Slo]:
    """The site as it comes, its rules begun, with an objective of a check that was quick for a day:
    99.9 % of its runs, each half minute, within 300 ms."""
    routing_ship()
    channel_made("chat")
    rules_ship(now=at(0))
    only(FAST)
    check = make_check("search-http", service="search", since=START - DAY)
    change(check, "up", START - DAY)
    runs(check, START - DAY, START, lambda moment: QUICK)
    row = slo("search", kind="latency", source="checks", threshold_ms=300.0, min_bad=3)
    live([120])
    return check, row


def within(since: float, until: float) -> Callable[[datetime], float]:
    """Slow runs in that time."""
    return lambda moment: SLOW if at(since) <= moment < at(until) else QUICK


def test_a_real_slowdown_calls_somebody_until_it_is_over(search: tuple[Check, Slo]) -> None:
    check, row = search
    runs(check, START, at(9_000), within(3_600, 4_500))
    watch((3_600, 3_720))
    assert not Alert.objects.exists()
    # At the end of the second minute four runs were slow.
    watch((3_840,))
    alert = Alert.objects.get()
    assert (alert.rule_name, alert.state, alert.severity) == (FAST, "firing", "page")
    assert (alert.service, alert.labels["kind"]) == ("search", "latency")
    assert alert.facts["link"] == f"/slos/{row.id}"
    assert (alert.facts["bad"], alert.facts["total"]) == (4, 120)
    assert "4 of 120 runs too slow, last 1 h" in alert.annotations["details"]
    watch((3_900,))
    assert told() == [("firing", [(FAST, "firing")])]
    assert "search burns its latency budget" in str(Delivery.objects.get().message)
    watch((4_200, 4_620))
    assert Alert.objects.get().state == "firing"
    # Five minutes are quick again.
    watch((4_980, 5_280))
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert alert.ended_at is not None
    assert timedelta() <= alert.ended_at - at(4_500) <= 6 * MINUTE
    assert told()[1:] == [("resolved", [(FAST, "resolved")])]
    assert alerts_tried(FAST, 0, 9_000, 9_200) == alerts_live(FAST, 9_000) != []


def test_two_slow_runs_and_maintenance_call_nobody(search: tuple[Check, Slo]) -> None:
    check, row = search
    runs(check, START, at(1_800), within(300, 360))
    runs(check, at(1_800), at(3_600), within(2_400, 3_000))
    window = Maintenance.objects.create(
        name="night", kind="single", reason="x", starts_at=at(2_400), ends_at=at(3_000),
        actor="ann", created_at=at(0),
    )  # fmt: skip
    window.checks.set([check])
    watch(range(480, 3_721, 300))
    assert not Alert.objects.exists()
    # Without the guard the two would have called somebody, without the window the slow ten minutes.
    Slo.objects.filter(id=row.id).update(min_bad=2)
    assert len(alerts_tried(FAST, 0, 1_800, 3_720)) == 1
    Slo.objects.filter(id=row.id).update(min_bad=3)
    window.delete()
    assert len(alerts_tried(FAST, 0, 3_600, 3_720)) == 1


def test_a_trial_says_where_single_runs_are_not_kept(search: tuple[Check, Slo]) -> None:
    def notes() -> list[str]:
        rule = AlertRule.objects.get(name="slo_burn_slow")
        return rule_trial(rule, since=at(600), until=at(1_200), now=at(1_500)).notes

    assert not any("Single runs" in each for each in notes())
    with config.override(resilience_check_result_retention_days=1):
        assert any(
            "windows that begin before then begin at whole hours" in each for each in notes()
        )
        Slo.objects.update(enabled=False)
        assert not any("Single runs" in each for each in notes())


def test_runs_that_fail_are_no_slow_ones(search: tuple[Check, Slo]) -> None:
    check, _ = search
    runs(check, START, at(1_200), lambda moment: None if moment >= at(300) else QUICK)
    watch(range(480, 1_320, 120))
    assert not Alert.objects.exists()
