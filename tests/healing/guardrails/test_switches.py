"""The kill switch and quarantine in people's hands: roles, reasons, versions, audit, journal."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest

from healing.actions.base import Subject
from healing.models import HealingSwitch, Quarantine
from healing.selectors.switches import (
    quarantine_find,
    quarantine_list,
    quarantine_of,
    stop_of,
    switch_list,
)
from healing.services.quarantine import quarantine_begin, quarantine_release
from healing.services.review import guards_review
from healing.services.switches import automation_stop, switch_set, switches_review
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Forbidden, Invalid, NotFound, Problem
from tests.healing.guardrails.scenes import target
from tests.health.world import START, World

pytestmark = pytest.mark.django_db
ANN: Final = Actor(ActorKind.USER, "ann")
SITE: Final = Actor.system("healing")
PLANNER: Final = Subject("service", "planner", "planner")


def turned(**changed: Any) -> HealingSwitch:
    given: dict[str, Any] = {
        "stopped": True, "reason": "deploy", "actor": ANN, "role": Role.OPERATOR, "now": START,
    }  # fmt: skip
    return switch_set(**given | changed)


def told() -> list[tuple[str, str, str]]:
    return [(e.kind, e.key, e.state) for e in journal.read(0, ["healing"], limit=1000)]


def test_a_person_stops_and_starts_all_healing_and_both_are_told() -> None:
    row = turned()
    assert (row.stopped, row.actor, row.version) == (True, "ann", 2)
    stop = stop_of("planner", START)
    assert stop is not None
    assert (stop.group, stop.reason, stop.by_site) == ("", "deploy", False)
    assert stop_of("planner", START, by_person=True) == stop
    turned(stopped=False, reason="deployed")
    assert stop_of("planner", START) is None
    assert told() == [("switch.stopped", "all", "stopped"), ("switch.started", "all", "started")]
    assert list(AuditEntry.objects.order_by("id").values_list("action", "reason")) == [
        ("healing_switch.stop", "deploy"),
        ("healing_switch.start", "deployed"),
    ]
    assert [each.group for each in switch_list()] == [""]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"role": Role.VIEWER}, Forbidden),
        ({"role": None}, Forbidden),
        ({"reason": " "}, Invalid),
        ({"stopped": "yes"}, Invalid),
        ({"expires_in": 0}, Invalid),
        ({"stopped": False, "expires_in": 60}, Invalid),
        ({"group": "nowhere"}, NotFound),
        ({"group": 3}, NotFound),
        ({"if_match": 7}, Conflict),
    ],
)
def test_what_cannot_be_is_refused_and_audited(
    changed: dict[str, Any], problem: type[Problem]
) -> None:
    with pytest.raises(problem):
        turned(**changed)
    assert AuditEntry.objects.get().action == "healing_switch.set.refused"
    assert not HealingSwitch.objects.filter(stopped=True).exists()
    assert told() == []


def test_a_stop_ends_when_its_time_is_over_and_that_is_told_once() -> None:
    turned(expires_in=60)
    guards_review(now=START + timedelta(seconds=59))
    assert HealingSwitch.objects.get().stopped
    assert switches_review(now=START + timedelta(seconds=60)) == 1
    assert switches_review(now=START + timedelta(seconds=60)) == 0
    assert told()[-1] == ("switch.started", "all", "started")


def test_the_site_does_not_turn_a_stop_of_a_person_into_its_own() -> None:
    turned(reason="we are migrating")
    assert automation_stop(group="", reason="half of it fails", now=START) is False
    assert HealingSwitch.objects.get().stopped_by_site is False
    # Nobody fails, and the person's stop stays all the same.
    assert switches_review(now=START) == 0


def test_a_person_takes_over_what_the_site_stopped() -> None:
    assert automation_stop(group="", reason="half of it fails", now=START) is True
    assert automation_stop(group="", reason="half of it fails", now=START) is False
    assert stop_of("planner", START, by_person=True) is None
    turned(reason="I look at it")
    assert stop_of("planner", START, by_person=True) is not None
    turned(stopped=False, reason="done")
    # That stop was the person's own: the site may stop automation again.
    assert automation_stop(group="", reason="half of it fails", now=START) is True


def test_an_expiry_is_bounded_by_role_and_a_group_is_named_by_targets() -> None:
    target(World(), "planner", "web")
    with pytest.raises(Invalid, match="at most"):
        turned(expires_in=10**6)
    with pytest.raises(NotFound) as found:
        turned(group="batch")
    assert found.value.allowed == ["web"]
    turned(group="web", role=Role.ADMIN, expires_in=86_400)
    assert stop_of("planner", START) is not None
    assert stop_of("billing", START) is None


# --- Quarantine


def test_a_target_is_in_quarantine_once_until_a_person_releases_it() -> None:
    first = quarantine_begin(subject=PLANNER, reason="used up", actor=SITE, now=START)
    again = quarantine_begin(subject=PLANNER, reason="again", actor=SITE, now=START)
    assert first == again
    assert quarantine_of("service", "planner") == first
    assert quarantine_of("breaker", "planner") is None
    row = quarantine_release(
        quarantine_id=first.id, reason="fixed", actor=ANN, role=Role.OPERATOR, now=START
    )
    assert (row.ended_by, row.ended_reason, row.ended_at) == ("ann", "fixed", START)
    assert list(quarantine_list()) == []
    assert list(quarantine_list(ended=True)) == list(quarantine_list(ended=None)) == [row]
    assert quarantine_find(row.id) == row
    assert told() == [
        ("target.quarantined", "planner", "quarantined"),
        ("target.released", "planner", "released"),
    ]
    with pytest.raises(Conflict, match="already"):
        quarantine_release(
            quarantine_id=first.id, reason="fixed", actor=ANN, role=Role.OPERATOR, now=START
        )
    # It may come into quarantine again.
    quarantine_begin(subject=PLANNER, reason="used up", actor=SITE, now=START)
    assert Quarantine.objects.count() == 2


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"role": Role.VIEWER}, Forbidden),
        ({"reason": ""}, Invalid),
        ({"quarantine_id": uuid4()}, NotFound),
    ],
)
def test_a_release_that_cannot_be_is_refused_and_audited(
    changed: dict[str, Any], problem: type[Problem]
) -> None:
    row = quarantine_begin(subject=PLANNER, reason="used up", actor=SITE, now=START)
    given: dict[str, Any] = {
        "quarantine_id": row.id, "reason": "fixed", "actor": ANN, "role": Role.ADMIN, "now": START,
    }  # fmt: skip
    with pytest.raises(problem):
        quarantine_release(**given | changed)
    assert AuditEntry.objects.latest("id").action == "healing_quarantine.release.refused"
    assert list(quarantine_list()) == [row]
