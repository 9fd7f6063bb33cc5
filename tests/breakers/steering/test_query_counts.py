"""How many SQL queries the screens of decisions and figures take, pinned in `query_counts.json`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from breakers.models import DegradedMode, FallbackRollup, Instance
from breakers.services.toggles import toggle_set
from health.models import Service
from resilience_site.core.choices import Role
from resilience_site.pages import status
from tests.breakers.steering import scenes
from tests.queries import pinned, queries_of

PINNED = pinned(__file__)


@pytest.fixture(autouse=True)
def _amid_an_hour() -> Iterator[None]:
    """As an hour begins, nothing of it is over yet, and screens ask less."""
    now = datetime.now(UTC)
    if 2 <= now.minute < 58:
        yield
        return
    with time_machine.travel(now + timedelta(minutes=5), tick=True):
        yield


def count(client: Client, line: str) -> int:
    return queries_of(client, line, forget=status.forget)


@pytest.mark.usefixtures("busy_fleet")
def test_each_screen_takes_its_pinned_number_of_queries(operator: Client) -> None:
    assert {line: count(operator, line) for line in PINNED} == PINNED


@pytest.mark.usefixtures("busy_fleet")
def test_more_rows_take_no_more_queries(operator: Client, now: datetime) -> None:
    paths = [line for line in PINNED if line.endswith("partial")]
    before = {path: count(operator, path) for path in paths}
    for number in range(30):
        name = f"service-{number}"
        Service.objects.create(name=name, first_seen=now, last_seen=now)
        Instance.objects.create(
            service=name, instance="i", first_seen=now, last_seen=now, applied_version=0
        )
        DegradedMode.objects.create(
            service=name, level="reduced", notice="n", reason="r", actor="a", created_at=now
        )
        toggle_set(
            key=f"t.{number}", value=number, reason="r", actor=scenes.ANA, role=Role.ADMIN, now=now
        )
        FallbackRollup.objects.create(
            minute=(now - timedelta(minutes=2)).replace(second=0, microsecond=0), service=name,
            dependency="d", source="default", served=1, aged=0, age_sum=0.0, age_max=None,
        )  # fmt: skip
        scenes.bulkhead(f"b-{number}", "planner-1", now, (1, 0, 2))
    assert {path: count(operator, path) for path in paths} == before
