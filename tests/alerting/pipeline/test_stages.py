"""The six stages have one signature: each gives what it took, in order, with its own finding."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from alerting.domain.dedup import Deduplicator, News
from alerting.domain.grouping import Grouper
from alerting.domain.inhibition import InhibitionRule, Inhibitor, Source, sources_of
from alerting.domain.matchers import Matcher
from alerting.domain.muting import MaintenanceMuter, MaintenanceRule, Silencer, SilenceRule
from alerting.domain.pipeline import Candidate, Stage, run
from alerting.domain.routing import Router, RouteRule
from alerting.models import AlertGroup, Delivery, Notified
from alerting.selectors.group_news import group_now
from alerting.services.dispatch.delivering import Deliverer
from tests.alerting.pipeline.scene import NOON, WAIT, Scene, channel_made, route_made

SOME = Matcher("severity", "=", "page")
CANDIDATES = [
    Candidate(
        UUID(int=number),
        {"alertname": f"rule {number % 5}", "severity": severity, "service": f"svc{number % 7}"},
    )
    for number, severity in enumerate(random.Random(7).choices(["page", "ticket"], k=60))
]
ROUTE = RouteRule(
    1, "all", (), ("service",), timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=4)
)
INHIBITION = InhibitionRule("pages", (SOME,), (Matcher("severity", "=", "ticket"),), ())
LATER = NOON + timedelta(hours=1)
STAGES: dict[str, tuple[Stage[Candidate], str]] = {
    "route": (Router([ROUTE]), "places"),
    "inhibit": (
        Inhibitor(sources_of([INHIBITION], [Source(each.id, each.labels) for each in CANDIDATES], NOON)),
        "held",
    ),
    "mute by silences": (
        Silencer([SilenceRule(UUID(int=9), (SOME,), LATER, "anna", "upgrade")]), "held"
    ),
    "mute by maintenance": (
        MaintenanceMuter(
            [MaintenanceRule(UUID(int=8), "move", LATER, lambda _, name: name == "svc3")]
        ),
        "held",
    ),
    "group": (Grouper({}, {}, {}, most=3), "places"),
}  # fmt: skip


def changed(before: Sequence[Any], after: Sequence[Any]) -> set[str]:
    """The fields in which items differ, of the same number in the same order."""
    assert len(before) == len(after)
    names = [each.name for each in fields(before[0])]
    return {
        name
        for old, new in zip(before, after, strict=True)
        for name in names
        if getattr(old, name) != getattr(new, name)
    }


@pytest.mark.parametrize("name", list(STAGES))
def test_a_stage_gives_each_alert_that_it_took_with_its_own_finding_alone(name: str) -> None:
    stage, finding = STAGES[name]
    taken = run([Router([ROUTE])], CANDIDATES) if name == "group" else CANDIDATES
    assert changed(taken, stage(taken)) == {finding}
    assert stage([]) == []


@pytest.mark.django_db
def test_deduplicate_and_deliver_give_the_news_of_each_channel_with_their_own_finding_alone() -> (
    None
):
    route_made("all", channel_made("a"), channel_made("b"), channel_made("c"))
    scene = Scene()
    scene.fire("x")
    scene.turn()
    group, now = AlertGroup.objects.get(), scene.now + timedelta(seconds=WAIT)
    standing = group_now(group, now=now)
    deduplicate: Stage[News] = Deduplicator(timedelta(hours=4), now)
    deliver: Stage[News] = Deliverer(group, standing.channels, standing.log, now)

    decided = deduplicate(standing.news)
    assert changed(standing.news, decided) == {"decision"}
    assert [each.decision and each.decision.occasion for each in decided] == ["first"] * 3
    assert Delivery.objects.count() == 0

    delivered = deliver(decided)
    assert changed(decided, delivered) == {"delivery"}
    made = dict(Delivery.objects.values_list("pk", "channel_id"))
    assert {each.delivery: each.channel for each in delivered} == made
    assert Notified.objects.count() == 3

    # Once more, as by a second process: each channel knows it.
    again = group_now(group, now=now)
    stages: list[Stage[News]] = [
        Deduplicator(timedelta(hours=4), now),
        Deliverer(group, again.channels, again.log, now),
    ]
    assert [each.delivery for each in run(stages, again.news)] == [None] * 3
    assert Delivery.objects.count() == 3


@pytest.mark.django_db
def test_deliver_refuses_what_nobody_has_deduplicated() -> None:
    route_made("all", channel_made("a"))
    scene = Scene()
    scene.fire("x")
    scene.turn()
    group = AlertGroup.objects.get()
    standing = group_now(group, now=scene.now)
    with pytest.raises(ValueError, match="deduplicate comes before deliver"):
        Deliverer(group, standing.channels, standing.log, scene.now)(standing.news)
    assert Delivery.objects.count() == 0
