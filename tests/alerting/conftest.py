"""The journal holds what the test itself has told."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def journal_begins_empty(request: pytest.FixtureRequest) -> None:
    """Forget what programs of earlier tests have told since the tables were emptied."""
    marked = request.node.get_closest_marker("django_db") is not None
    if not marked and not {"db", "transactional_db"} & set(request.fixturenames):
        return
    request.getfixturevalue("_django_db_helper")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")
