"""What the site comes with: applied at each start, and never over what a person decided."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from alerting.models import Inhibition, Route
from alerting.services.shipped_routing import SHIPPED, routing_ship
from tests.alerting.pipeline.scene import NOON, WAIT, Scene, channel_made, names_of, why_of

pytestmark = pytest.mark.django_db


def test_it_is_made_once_and_then_changes_nothing() -> None:
    made = routing_ship()
    shipped = yaml.safe_load(SHIPPED.read_text())
    assert len(made) == len(shipped["routes"]) + len(shipped["inhibitions"])
    assert routing_ship() == []
    assert Route.objects.get().origin == "shipped"


def test_a_newer_form_renews_what_nobody_changed_alone() -> None:
    routing_ship()
    Route.objects.update(group_wait_seconds=1)
    name = "failure-over-signs"
    Inhibition.objects.filter(name=name).update(equal=[], enabled=False)
    assert routing_ship() == ["renewed the route default", f"renewed the inhibition {name}"]
    Route.objects.update(group_wait_seconds=1, version=2)
    assert routing_ship() == []
    assert Route.objects.get().group_wait_seconds == 1
    assert not Inhibition.objects.get(name=name).enabled


def test_as_shipped_every_channel_hears_of_a_page_in_a_message_of_its_own() -> None:
    routing_ship()
    channel_made("chat")
    channel_made("pager")
    channel_made("off", enabled=False)
    scene = Scene()
    scene.fire("breaker_open", "slo_burn_fast")
    scene.fire("check_failed", severity="ticket")
    scene.turn()
    told = scene.wait(WAIT)
    assert [name for name, _ in told] == ["chat", "chat", "pager", "pager"]
    assert {message.severity for _, message in told} == {"page", "ticket"}


def test_as_shipped_the_higher_burn_rate_holds_the_lower_ones() -> None:
    routing_ship()
    channel_made()
    scene = Scene()
    scene.fire("slo_burn_fast", "slo_burn", slo="1", kind="availability")
    scene.fire("slo_burn_slow", slo="1", kind="availability", severity="ticket")
    scene.fire("slo_burn_slow", slo="2", kind="latency", severity="ticket")
    scene.turn()
    told = {rule for _, message in scene.wait(WAIT) for rule in names_of(message, "firing")}
    assert told == {"slo_burn_fast", "slo_burn_slow"}
    ((_, ticket),) = [each for each in scene.told if each[1].severity == "ticket"]
    assert [each.labels["slo"] for each in ticket.alerts] == ["2"]


def test_as_shipped_nobody_is_called_a_second_time_for_a_budget_that_burns_no_more() -> None:
    routing_ship()
    channel_made()
    scene = Scene()
    labels = {"slo": "1", "kind": "availability"}
    scene.fire("slo_burn_fast", "slo_burn", **labels)
    scene.fire("slo_burn_slow", **labels, severity="ticket")
    # Windows of 5 min, 30 min and 6 h become clean one after the other.
    for minutes, over in ((10, "slo_burn_fast"), (35, "slo_burn"), (365, "slo_burn_slow")):
        until = NOON + timedelta(minutes=minutes)
        while scene.now < until:
            scene.wait(150 if minutes < 60 else 900)
        scene.resolve(over, **labels, severity="ticket" if over == "slo_burn_slow" else "page")
    for _ in range(8):
        scene.wait(3_600)
    told = [(why_of(message), {each.rule for each in message.alerts}) for _, message in scene.told]
    assert told == [("first", {"slo_burn_fast"}), ("resolved", {"slo_burn_fast"})]


def test_as_shipped_what_is_about_no_service_is_told_by_its_name() -> None:
    routing_ship()
    channel_made()
    scene = Scene()
    scene.fire("site_trouble", service="", part="worker")
    scene.fire("site_trouble", service="", part="redis")
    scene.fire("error_correlation_spike", service="")
    scene.fire("breaker_open", "slo_burn_fast")
    scene.turn()
    told = sorted(sorted(names_of(message, "firing")) for _, message in scene.wait(WAIT))
    assert told == [
        ["breaker_open", "slo_burn_fast"],
        ["error_correlation_spike"],
        ["site_trouble"],
    ]
    (trouble,) = [
        message for _, message in scene.told if names_of(message, "firing") == {"site_trouble"}
    ]
    assert {each.labels["part"] for each in trouble.alerts} == {"worker", "redis"}
