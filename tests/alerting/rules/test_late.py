"""A trial over a range is what live made of it, whenever that was looked at and things came."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from alerting.models import Alert, AlertRule
from analytics.models import CorrelationChain, Slo
from analytics.services.slos import slo_change, slo_create, slo_delete
from resilience_site.core.audit import Actor
from tests.alerting.rules.history import at
from tests.alerting.rules.late_history import (
    DELAYS,
    World,
    calls,
    chain_moved,
    chains_seen,
    errors,
    found_out,
    room,
    rule,
    same,
    turn,
)
from tests.analytics.slos.scenes import known, slo
from tests.health.availability.fleet import make_check

pytestmark = pytest.mark.django_db
MINUTES = 40
# In seconds, amid a minute.
SAVED = 15 * 60 + 20
# The same ones each time; a history cannot be made simpler by changing its seed.
SOME = settings(max_examples=1, deadline=None, derandomize=True, phases=[Phase.generate])
FIGURES: dict[str, dict[str, Any]] = {
    "failing": {"metric": "error_rate", "threshold": 0.3, "window_seconds": 180, "minimum": 5},
    "erring": {"metric": "errors", "threshold": 7, "window_seconds": 120},
    "slow": {"metric": "latency_p95", "threshold": 100, "window_seconds": 240},
    "quiet": {"metric": "calls", "op": "<", "threshold": 12, "window_seconds": 120},
    "site_quiet": {
        "metric": "calls", "op": "<", "threshold": 25, "window_seconds": 120, "each": "site",
    },
    "site_slow": {
        "metric": "latency_p95", "threshold": 100, "window_seconds": 120, "each": "site",
    },
    "spike": {
        "metric": "chains", "threshold": 4, "window_seconds": 180, "each": "site",
        "baseline": {"ratio": 2, "days": 1},
    },
    "chained": {"metric": "chains", "threshold": 3, "window_seconds": 240},
    "unusual": {
        "metric": "calls", "threshold": 10, "window_seconds": 300, "each": "site",
        "baseline": {"ratio": 1.2, "days": 1},
    },
}  # fmt: skip


def figures_of(world: World) -> None:
    """Calls and errors of two services, in bursts of failures and of slowness."""
    chance = world.chance
    for minute in range(MINUTES):
        for service in ("planner", "mail"):
            bad = chance.random() < 0.3
            for _ in range(chance.choice((1, 1, 2, 3))):
                count = chance.randint(1, 14)
                failed, ms = chance.randint(0, count) if bad else 0, chance.choice((20, 70, 900))
                world.delayed(minute, calls, service, count, failed, ms)
            count = chance.randint(-3, 9) if bad else chance.randint(0, 3)
            world.delayed(minute, errors, service, count)
    # The same hour of yesterday, of which some is stored as late as today.
    for minute in range(-1440, -1380, 3):
        stored = chance.choice((minute * 60 + 90, minute * 60 + 90, -1200, 1500))
        world.later(stored, calls, minute, stored, "planner", 25, 0, 20)


def chains_of(world: World) -> None:
    """Chains that are seen soon or late, some of which move to an earlier start, or become part of
    others."""
    chance = world.chance
    for minute in [*range(-1440, -1380, 10), *range(MINUTES)]:
        for service in ("planner", "mail"):
            moment = minute * 60 + chance.randrange(60)
            seen = minute * 60 + 60 + chance.choice(DELAYS)
            world.later(seen, chain_comes, world, moment, seen, service, chance.randrange(4))


def chain_comes(world: World, moment: int, seen: int, service: str, count: int) -> None:
    for each in chains_seen(at(moment), at(seen), service, count):
        if world.chance.random() < 0.5:
            chain_moved(each, at(moment - 400), "mail", at(seen + 20))
        elif world.chance.random() < 0.5:
            CorrelationChain.objects.filter(id=each.id).delete()


@given(seed=st.integers(0, 2**32))
@SOME
def test_figures_count_as_they_were_known(seed: int) -> None:
    with transaction.atomic():
        AlertRule.objects.all().delete()
        room()
        for name, condition in FIGURES.items():
            rule(name, {"type": "figure", **condition})
        world = World(MINUTES, random.Random(seed))
        # The same ones, as somebody makes them amid the history.
        for number, (name, condition) in enumerate(FIGURES.items()):
            world.later(
                SAVED + number, rule, f"{name}_later", {"type": "figure", **condition},
                created_at=at(SAVED + number), changed_at=at(SAVED + number),
            )  # fmt: skip
        figures_of(world)
        chains_of(world)
        world.run()
        fired = same(FIGURES, 120, MINUTES * 60, MINUTES * 60 + 7200)
        assert all(fired.values()), fired
        began = {}
        for number, name in enumerate(FIGURES):
            later = f"{name}_later"
            same([later], SAVED + number, MINUTES * 60, MINUTES * 60 + 7200)
            fired_at = Alert.objects.filter(rule_name=later, fired_at__isnull=False)
            began[name] = fired_at.values_list("fired_at", flat=True).order_by("fired_at").first()
            assert began[name] >= at(SAVED + number), name
        # Some held already, and fired at the moment they were saved at.
        assert any(began[name] == at(SAVED + n) for n, name in enumerate(FIGURES)), began
        transaction.set_rollback(True)


BURNS = {"fast": 3_600, "middle": 21_600, "lasting": 259_200}
ANN = Actor.system("ann")


def objective(service: str, days: int, **fields: Any) -> Slo:
    return slo(
        service, window_days=days, created_at=at(-9), changed_at=at(-9), **{"min_bad": 3} | fields
    )


def objectives_of(world: World) -> None:
    """Objectives that are watched all the time, and some that are set, changed and deleted."""
    for days, share in ((8, 0.98), (9, 0.94), (10, 0.85)):
        objective("planner", days, objective=share)
        objective("mail", days, objective=share - 0.3, kind="latency", threshold_ms=50.0)
    changed = objective("planner", 7, objective=0.7, kind="latency", threshold_ms=50.0)
    for minute, changes in (
        (9, {"threshold_ms": 800.0}),
        (17, {"objective": 0.9}),
        (23, {"enabled": False}),
        (31, {"enabled": True}),
    ):
        second = minute * 60 + 31
        world.later(
            second, slo_change, slo_id=changed.id, changes=changes, actor=ANN, now=at(second)
        )
    deleted = objective("mail", 7, objective=0.9)
    world.later(1231, slo_delete, slo_id=deleted.id, actor=ANN, now=at(1231))
    world.later(
        1261, slo_create, service="mail", objective=0.97, window_days=12, min_bad=3,
        actor=ANN, now=at(1261),
    )  # fmt: skip


def checks_of(world: World) -> None:
    """Two critical checks of a service, whose failures are found out some minutes after."""
    chance = world.chance
    for days, share in ((7, 0.9), (8, 0.8)):
        objective("store", days, objective=share, source="checks", min_bad=60)
    for name in ("pg", "disk"):
        # Before, nothing is known of it: what is bad weighs more.
        check = make_check(name, service="store", since=at(-60))
        found_out(check, "up", at(-60), at(-60))
        second = 0
        while second < MINUTES * 60 - 900:
            down, up = second + chance.randrange(60, 300), second + chance.randrange(420, 900)
            # Found out well away from the moments by which it counts.
            found = (down + chance.choice((20, 130, 200, 350))) // 60 * 60 + 75
            later = max(up, found + 30)
            world.later(found, found_out, check, "down", at(down), at(found))
            world.later(later, found_out, check, "up", at(up), at(later))
            second = up


@given(seed=st.integers(0, 2**32))
@SOME
def test_budgets_burn_as_they_were_known(seed: int) -> None:
    with transaction.atomic():
        AlertRule.objects.all().delete()
        room()
        for service in ("planner", "mail", "store"):
            known(service, at(0))
        for name, long in BURNS.items():
            rule(name, {"type": "burn", "long_seconds": long})
        world = World(MINUTES, random.Random(seed))
        figures_of(world)
        objectives_of(world)
        checks_of(world)
        world.hours()
        world.run()
        fired = same(BURNS, 120, MINUTES * 60, MINUTES * 60 + 7200)
        assert all(fired.values()), fired
        told = Alert.objects.filter(fired_at__gt=at(120))
        assert set(told.values_list("service", flat=True)) == {"planner", "mail", "store"}
        transaction.set_rollback(True)


def test_a_failure_that_is_dated_back_counts_once_it_was_found_out() -> None:
    AlertRule.objects.all().delete()
    known("store", at(0))
    for name, long in BURNS.items():
        rule(name, {"type": "burn", "long_seconds": long})
    objective("store", 7, objective=0.9, source="checks", min_bad=60)
    check = make_check("pg", service="store", since=at(-60))
    found_out(check, "up", at(-60), at(-60))
    for minute in range(25):
        if minute == 12:
            found_out(check, "down", at(310), at(705))
        if minute == 17:
            found_out(check, "up", at(720), at(1005))
        turn(minute * 60 + 25)
    assert same(BURNS, 0, 1300, 9000) == dict.fromkeys(BURNS, 1)
    # It was down from the sixth minute on: nobody knew before the tenth was judged.
    assert {each.fired_at for each in Alert.objects.all()} == {at(600)}
