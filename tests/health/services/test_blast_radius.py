"""Who needs what: the blast radius of checks and services."""

from __future__ import annotations

import pytest

from health.models import Check, Service
from health.selectors.graph import (
    BlastRadius,
    check_blast_radius,
    service_blast_radius,
)
from health.services.dependencies import dependency_declare
from tests.health.scenes import ACTOR, NOW, make

pytestmark = pytest.mark.django_db


def declare(child: str, parent: str, hard: bool = True) -> None:
    dependency_declare(child=child, parent=parent, hard=hard, actor=ACTOR, now=NOW)


def names(radius: BlastRadius) -> tuple[set[str], set[str]]:
    checks = Check.objects.filter(id__in=radius.checks)
    return set(checks.values_list("name", flat=True)), set(radius.services)


@pytest.fixture
def fleet() -> dict[str, Check]:
    """disk ← pg of the store ← the api ← the web, and a report that needs nothing of it."""
    made = {
        "pg": make("pg", service="store"),
        "backup": make("backup", service="store", critical=False),
        "api": make("api", service="api"),
        "web": make("web", service="web"),
        "report": make("report", service="report"),
    }
    declare("service:api", "service:store")
    declare("check:web", "service:api", hard=False)
    return made


def test_a_critical_check_takes_its_service_and_all_that_need_it(fleet: dict[str, Check]) -> None:
    assert names(check_blast_radius(fleet["pg"])) == ({"api", "web"}, {"store", "api", "web"})


def test_a_check_that_is_not_critical_takes_nobody(fleet: dict[str, Check]) -> None:
    assert check_blast_radius(fleet["backup"]) == BlastRadius()


def test_a_service_takes_those_that_need_it(fleet: dict[str, Check]) -> None:
    assert names(service_blast_radius("store")) == ({"api", "web"}, {"api", "web"})
    assert names(service_blast_radius("report")) == (set(), set())


def test_a_service_without_checks_passes_on_what_it_needs(fleet: dict[str, Check]) -> None:
    Service.objects.create(name="gateway", first_seen=NOW, last_seen=NOW)
    declare("service:gateway", "service:api")
    declare("check:report", "service:gateway")
    assert names(service_blast_radius("api")) == (
        {"web", "report"},
        {"web", "gateway", "report"},
    )
