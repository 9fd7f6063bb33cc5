"""What is read of breakers: one thing made of many instances, its figures, the order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from breakers.models import Breaker, BreakerTransition, DomainMember, Instance, Override
from breakers.selectors.breaker_view import BINS, BreakerView
from breakers.selectors.breakers import breaker_find, breaker_get, breaker_list, service_names
from breakers.selectors.instances import GONE, SILENT, live_instances
from resilience_site.core.problems import Invalid
from tests.breakers import scenes
from tests.breakers.scenes import Scene

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 3, 12, 7, tzinfo=UTC)


def one(scene: Scene, **options: object) -> BreakerView:
    scenes.store([scene], NOW, **options)  # type: ignore[arg-type]
    return breaker_get(scene.key, NOW)


def test_a_breaker_is_in_the_state_that_all_its_instances_have() -> None:
    view = one(Scene("planner", "graph", ("half_open",) * 3))
    assert (view.state, view.disagrees, view.disagreement) == ("half_open", False, "")


@pytest.mark.parametrize(
    ("states", "whole", "text"),
    [
        (("closed", "open", "closed"), "open", "Open 1, closed 2"),
        (("closed", "half_open"), "half_open", "Half-open 1, closed 1"),
        (("forced_closed", "metrics_only"), "metrics_only", "Metrics only 1, forced closed 1"),
        (("forced_open", "disabled", "half_open"), "half_open",
         "Half-open 1, forced open 1, disabled 1"),
    ],
)  # fmt: skip
def test_instances_that_disagree_show_the_worst_and_are_counted(
    states: tuple[str, ...], whole: str, text: str
) -> None:
    view = one(Scene("planner", "graph", states))
    assert (view.state, view.disagreement) == (whole, text)


def test_a_silent_instance_has_no_say_and_is_marked() -> None:
    scene = Scene("planner", "graph", ("open", "closed", "closed"))
    scenes.store([scene], NOW)
    for model in (Breaker, Instance):
        model.objects.filter(instance="planner-1").update(last_seen=NOW - SILENT * 2)
    view = breaker_get(scene.key, NOW)
    assert (view.state, view.silent, view.disagrees) == ("closed", False, False)
    assert [each.silent for each in view.instances] == [True, False, False]
    assert view.applied() == (2, 2)


def test_an_instance_that_polls_or_reports_anything_is_not_silent() -> None:
    scene = Scene("planner", "graph")
    scenes.store([scene], NOW)
    Breaker.objects.update(last_seen=NOW - timedelta(hours=5))
    assert not breaker_get(scene.key, NOW).silent


def test_when_all_are_silent_the_last_known_state_is_shown_as_such() -> None:
    view = one(Scene("planner", "graph", ("open", "closed"), age=timedelta(minutes=10)))
    assert (view.state, view.silent, view.live) == ("open", True, ())
    assert view.disagreement == "Open 1, closed 1"


def test_instances_that_are_gone_for_an_hour_are_left_out() -> None:
    scene = Scene("planner", "graph", ("open", "closed"))
    scenes.store([scene], NOW)
    for model in (Breaker, Instance):
        model.objects.filter(instance="planner-1").update(last_seen=NOW - GONE - timedelta(hours=1))
    assert [each.instance for each in breaker_get(scene.key, NOW).instances] == ["planner-2"]


def test_figures_are_those_of_the_last_minute_with_their_gaps() -> None:
    view = one(Scene("planner", "graph", calls=10, failures=1, slow=2, gaps=(3, 11)))
    assert (view.calls, view.failures, view.slow) == (150, 15, 30)
    assert (view.failure_rate, view.slow_call_rate, view.window_seconds) == (0.1, 0.2, 60)
    assert len(view.series) == BINS
    assert [n for n, each in enumerate(view.series) if each is None] == [3, 11]


def test_under_the_minimum_of_the_policy_there_is_no_rate() -> None:
    scene = Scene("planner", "graph", ("closed",), calls=3, failures=1)
    assert one(scene).failure_rate == pytest.approx(1 / 3)
    rare = Scene("planner", "redis", ("closed",), calls=3, failures=1)
    assert rare.policy is not None
    rare.policy["minimum_number_of_calls"] = 19
    assert one(rare).failure_rate is None
    unknown = one(Scene("planner", "smtp", ("closed",), calls=1, policy=None))
    assert (unknown.failure_rate, unknown.minimum, unknown.policy) == (None, 10, None)


def test_calls_that_are_too_old_or_of_other_breakers_do_not_count() -> None:
    scenes.store([Scene("planner", "graph", calls=10), Scene("planner", "redis", calls=7)], NOW)
    later = NOW + timedelta(minutes=2)
    assert breaker_find("planner", "graph", NOW).calls == 180
    assert breaker_find("planner", "graph", later).series == (None,) * BINS


def override(**fields: object) -> Override:
    return Override.objects.create(
        **{
            "scope": "service", "service": "planner", "name": "graph", "state": "forced_open",
            "reason": "failing over", "actor": "ana", "created_at": NOW,
            "expires_at": NOW + timedelta(hours=1), **fields,
        }
    )  # fmt: skip


def test_the_override_that_covers_all_instances_is_named_first() -> None:
    scene = Scene("planner", "graph")
    DomainMember.objects.create(
        domain="graph-eu", service="planner", name="graph", source="reported"
    )
    override(scope="instance", instance="planner-2")
    override(scope="domain", service="", name="", domain="graph-eu", state="disabled")
    assert [each.scope for each in one(scene).overrides] == ["domain", "instance"]
    override(reason="for all")
    view = breaker_get(scene.key, NOW)
    assert view.override is not None
    assert (view.override.scope, view.override.reason) == ("service", "for all")


def test_an_override_of_another_breaker_an_ended_and_an_expired_one_do_not_count() -> None:
    override(name="redis")
    override(ended_at=NOW)
    override(expires_at=NOW)
    assert one(Scene("planner", "graph")).overrides == ()


def test_only_instances_that_acknowledged_the_present_document_have_applied_it() -> None:
    scene = Scene("planner", "graph", ("closed",) * 3)
    override(scope="instance", instance="planner-2")
    view = one(scene, version=7, applied=(7, 6, 8))
    assert view.applied() == (2, 3)
    assert view.applied(view.override) == (0, 1)
    Instance.objects.update(applied_version=None)
    assert breaker_get(scene.key, NOW).applied() == (0, 3)


def test_trouble_comes_first_then_volume() -> None:
    scenes.store(
        [
            Scene("a", "quiet", calls=1),
            Scene("a", "busy", calls=50),
            Scene("a", "failing", calls=20, failures=4),
            Scene("a", "worse", calls=10, failures=6),
            Scene("b", "silent", ("open",), age=timedelta(minutes=5)),
            Scene("a", "forced", ("forced_closed",)),
            Scene("a", "probing", ("half_open",)),
            Scene("a", "open", ("open", "closed")),
            Scene("a", "off", ("disabled",)),
        ],
        NOW,
    )
    assert [view.name for view in breaker_list(NOW)] == [
        "open", "probing", "off", "forced", "silent", "worse", "failing", "busy", "quiet",
    ]  # fmt: skip


def test_filters_narrow_the_list() -> None:
    scenes.store(
        [
            Scene("planner", "microsoft_graph", ("open", "closed")),
            Scene("planner", "redis"),
            Scene("billing", "redis", age=timedelta(minutes=2)),
        ],
        NOW,
    )
    DomainMember.objects.create(domain="cache", service="billing", name="redis", source="set")

    def names(**filters: str) -> list[str]:
        return sorted(f"{each.service}/{each.name}" for each in breaker_list(NOW, **filters))

    assert names(service="planner") == ["planner/microsoft_graph", "planner/redis"]
    assert names(state="open") == ["planner/microsoft_graph"]
    assert names(state="closed") == ["planner/microsoft_graph", "planner/redis"]
    assert names(state="silent") == ["billing/redis"]
    assert names(q="REDIS bill") == ["billing/redis"]
    assert names(q="100%_\0") == []
    assert names(domain="cache") == ["billing/redis"]
    assert names(service="nobody") == []
    assert service_names() == ["billing", "planner"]
    with pytest.raises(Invalid, match="half_open, forced_open"):
        breaker_list(NOW, state="ajar")


def test_a_breaker_of_which_nobody_heard_for_a_day_is_not_listed_but_found() -> None:
    scene = Scene("planner", "graph", age=timedelta(hours=25))
    scenes.store([scene], NOW)
    assert breaker_list(NOW) == []
    assert breaker_find("planner", "graph", NOW).silent
    with pytest.raises(Breaker.DoesNotExist):
        breaker_get("0" * 16, NOW)


def test_live_instances_are_those_heard_of_lately() -> None:
    scenes.store([Scene("planner", "graph"), Scene("billing", "redis", age=SILENT * 2)], NOW)
    assert {each.service for each in live_instances(NOW)} == {"planner"}
    assert live_instances(NOW, "billing").count() == 0


def test_two_hundred_breakers_take_six_queries() -> None:
    scenes.store(scenes.fleet(200), NOW)
    breaker_list(NOW)
    with CaptureQueriesContext(connection) as queries:
        found = breaker_list(NOW)
    assert len(found) == 200
    assert len(queries) == 6


def test_one_that_opens_again_and_again_says_so_while_it_is_closed() -> None:
    view = one(Scene("planner", "graph", ("closed",)))
    assert view.flapping == ""
    for minute, (before, after) in enumerate(
        [("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("closed", "open")]
    ):
        BreakerTransition.objects.create(
            id=uuid4(), at=NOW - timedelta(minutes=3 * minute + 1), service="planner", name="graph",
            instance="planner-1", from_state=before, to_state=after, received_at=NOW,
        )  # fmt: skip
    assert breaker_get(view.key, NOW).flapping == "Opened 2 times in 10 min"
    assert breaker_get(view.key, NOW + timedelta(minutes=5)).flapping == ""
