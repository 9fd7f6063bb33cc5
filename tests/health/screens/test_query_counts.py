"""How many SQL queries the health screens take, pinned in `query_counts.json`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client

from health.models import Check
from tests.health.screens import scenes
from tests.queries import pinned, queries_of

PINNED = pinned(__file__)


@pytest.fixture
def now() -> Iterator[datetime]:
    """The middle of an hour: at a whole one, availability takes fewer queries."""
    with time_machine.travel(datetime.now(UTC).replace(minute=30), tick=True):
        yield datetime.now(UTC)


def counts(client: Client, check: Check) -> dict[str, int]:
    return {line: queries_of(client, line.format(check=check.id)) for line in PINNED}


def test_each_screen_takes_its_pinned_number_of_queries_however_much_it_shows(
    incident: dict[str, Check], operator: Client, now: datetime
) -> None:
    check = incident["postgres-main"]
    assert counts(operator, check) == PINNED
    scenes.more(check, 30, now)
    assert counts(operator, check) == PINNED
