"""How many SQL queries the health screens take, pinned in `query_counts.json`.

A screen takes the same number whatever it shows; a change of a number is a decision, made by
changing the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from health.models import Check
from tests.health.screens import scenes
from tests.pages.html import PARTIAL

PINNED: dict[str, int] = json.loads(
    Path(__file__).with_name("query_counts.json").read_text(encoding="utf-8")
)


@pytest.fixture
def now() -> Iterator[datetime]:
    """The middle of an hour: at a whole one, availability takes fewer queries."""
    with time_machine.travel(datetime.now(UTC).replace(minute=30), tick=True):
        yield datetime.now(UTC)


def counts(client: Client, check: Check) -> dict[str, int]:
    found = {}
    for line in PINNED:
        path, _, part = line.format(check=check.id).partition(" ")
        headers = PARTIAL if part == "partial" else {}
        client.get(path, headers=headers)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path, headers=headers).status_code == 200, path
        found[line] = len(queries)
    return found


def test_each_screen_takes_its_pinned_number_of_queries_however_much_it_shows(
    incident: dict[str, Check], operator: Client, now: datetime
) -> None:
    check = incident["postgres-main"]
    assert counts(operator, check) == PINNED
    scenes.more(check, 30, now)
    assert counts(operator, check) == PINNED
