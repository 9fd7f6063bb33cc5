"""Posting errors while the database lets nobody in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
from django.db import connection
from psycopg import sql

from analytics.models import ErrorEvent
from tests.analytics.posted.conftest import PATH
from tests.embedded.running import until

RECOVERY_SECONDS = 30
ERROR = {"id": "pay-1", "service": "till", "type": "PaymentError"}


@contextmanager
def closed_database() -> Iterator[None]:
    """The test database, cut off from the site and closed to new connections."""
    own = connection.connection.info
    name = sql.Identifier(own.dbname)
    elsewhere = {**own.get_parameters(), "dbname": "postgres"}
    with psycopg.connect(**elsewhere, autocommit=True) as engine:
        engine.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            engine.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> %s",
                [own.dbname, own.backend_pid],
            )
            yield
        finally:
            engine.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


def test_the_client_is_asked_to_come_back_and_then_its_error_is_stored_once(
    http: httpx.Client,
) -> None:
    connection.ensure_connection()
    with closed_database():
        answer = http.post(PATH, json=ERROR)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert "database" in answer.json()["detail"]

    until(lambda: http.post(PATH, json=ERROR).status_code == 202, RECOVERY_SECONDS, "recovery")
    assert http.post(PATH, json=ERROR).json()["duplicates"] == 1
    assert ErrorEvent.objects.count() == 1
    # Tests after this one find the site as it was.
    until(lambda: http.get("/readyz").status_code == 200, RECOVERY_SECONDS, "readiness")
