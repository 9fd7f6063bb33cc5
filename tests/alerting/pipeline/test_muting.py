"""Maintenance holds alerts about what it covers; the notification log keeps its promise."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.dedup import Standing, Told, decide
from alerting.models import Alert
from health.models import Service
from health.services.maintenance import maintenance_create, maintenance_end
from resilience_site.core.audit import Actor
from tests.alerting.pipeline.scene import INTERVAL, NOON, WAIT, Scene, channel_made, route_made

ANNA = Actor.system("anna")


def held(scene: Scene) -> dict[str, list[str]]:
    return {
        f"{each.rule_name} of {each.service}": [why["kind"] for why in each.suppressed_by]
        for each in Alert.objects.all()
    }


@pytest.mark.django_db
def test_maintenance_of_a_service_holds_its_alerts_until_it_ends() -> None:
    route_made("all", channel_made())
    Service.objects.create(name="planner", first_seen=NOON, last_seen=NOON)
    scene = Scene()
    window = maintenance_create(
        name="upgrade", kind="single", reason="new version", starts_at=NOON,
        ends_at=NOON + timedelta(hours=2), services=["planner"], actor=ANNA, now=NOON,
    )  # fmt: skip
    scene.fire("a")
    scene.fire("b", service="tasks")
    scene.turn()
    assert held(scene) == {"a of planner": ["maintenance"], "b of tasks": []}
    why = Alert.objects.get(rule_name="a").suppressed_by[0]
    assert (why["id"], why["text"]) == (
        str(window.id), "In maintenance until 2026-11-26 14:00 UTC: upgrade",
    )  # fmt: skip
    assert [message.alerts[0].rule for _, message in scene.wait(WAIT)] == ["b"]
    maintenance_end(maintenance_id=window.id, actor=ANNA, now=scene.now)
    told = [message.alerts[0].rule for _, message in scene.wait(INTERVAL)]
    assert told == ["a"]


@pytest.mark.django_db
def test_maintenance_of_everything_holds_what_is_about_a_service_and_not_the_site_itself() -> None:
    route_made("all", channel_made())
    scene = Scene()
    maintenance_create(
        name="move", kind="single", reason="new rack", starts_at=NOON,
        ends_at=NOON + timedelta(hours=2), actor=ANNA, now=NOON,
    )  # fmt: skip
    scene.fire("a")
    scene.fire("site_trouble", service="")
    scene.turn()
    assert held(scene) == {"a of planner": ["maintenance"], "site_trouble of ": []}


IDS = [UUID(int=n) for n in range(4)]
# Each moment: which of the alerts fire, which of these are held, and how many seconds go by.
MOMENTS = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from(IDS)),
        st.frozensets(st.sampled_from(IDS)),
        st.integers(0, 400),
    ),
    max_size=25,
)


@given(MOMENTS)
def test_whoever_was_told_that_it_fires_is_told_once_when_it_is_over(
    moments: list[tuple[frozenset[UUID], frozenset[UUID], int]],
) -> None:
    told: Told | None = None
    known: set[UUID] = set()
    gone: set[UUID] = set()
    now: datetime = NOON
    # At the end all is over.
    for wanted, suppressed, seconds in [*moments, (frozenset(), frozenset(), 1)]:
        now += timedelta(seconds=seconds)
        # An alert that is over never fires again: what fires anew is another one.
        fires = wanted - gone
        gone |= known - fires
        decision = decide(
            told,
            Standing(firing=fires - suppressed, over=known - fires, lasting=known & fires),
            sends_resolved=True,
            repeat=timedelta(seconds=600),
            now=now,
        )
        assert decision.new == (fires - suppressed) - known
        assert decision.ended == known - fires
        if decision.new or decision.ended:
            assert decision.occasion in ("first", "grown", "shrunk", "resolved")
        elif decision.occasion is not None:
            assert decision.occasion == "repeated"
            assert fires - suppressed
            assert told is not None
            assert now - told.at >= timedelta(seconds=600)
        known = set(decision.firing)
        at = now if decision.occasion or told is None else told.at
        told = Told(at, decision.firing)
    assert known == set()
