"""The journal holds what the test itself has told, and the pipeline has seen nothing before it."""

from __future__ import annotations

import pytest
from django.db import connection

from alerting.services.dispatch import placing


@pytest.fixture(autouse=True)
def journal_begins_empty(request: pytest.FixtureRequest) -> None:
    """Forget what programs of earlier tests have told since the tables were emptied."""
    marked = request.node.get_closest_marker("django_db") is not None
    if not marked and not {"db", "transactional_db"} & set(request.fixturenames):
        return
    request.getfixturevalue("_django_db_helper")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM core_journalentry")


@pytest.fixture(autouse=True)
def nothing_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clocks of tests are alike: what one has seen is not what the next one looks at."""
    monkeypatch.setattr(placing._Memory, "seen", None)
