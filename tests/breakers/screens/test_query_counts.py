"""How many SQL queries each screen of breakers takes, pinned in `query_counts.json`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from breakers.models import BreakerTransition
from tests.breakers import scenes
from tests.breakers.scenes import Scene
from tests.queries import pinned, queries_of

PINNED = pinned(__file__)


def counted(client: Client, line: str) -> int:
    return queries_of(client, line.format(key=scenes.GRAPH_KEY))


@pytest.mark.django_db
def test_each_screen_takes_its_pinned_number_of_queries(
    operator: Client, incident: list[Scene]
) -> None:
    assert {line: counted(operator, line) for line in PINNED} == PINNED


@pytest.mark.django_db
def test_two_hundred_breakers_and_long_histories_take_no_more(operator: Client) -> None:
    now = datetime.now(UTC)
    fleet = scenes.fleet(200)
    scenes.store(fleet, now)
    scenes.history(fleet[0], now)
    BreakerTransition.objects.bulk_create(
        [scenes.transition(fleet[0], now, "closed", "open") for _ in range(100)]
    )
    lines = ("/breakers", "/breakers partial", "/breakers/{key}", "/domains")
    found = {line: counted(operator, line) for line in lines}
    assert all(found[line] <= PINNED[line] for line in lines), found
