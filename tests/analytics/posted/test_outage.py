"""Posting errors while the database lets nobody in."""

from __future__ import annotations

import httpx
from django.db import connection

from analytics.models import ErrorEvent
from tests.analytics.outage import RECOVERY_SECONDS, closed_database
from tests.analytics.posted.conftest import PATH
from tests.embedded.running import until

ERROR = {"id": "pay-1", "service": "till", "type": "PaymentError"}


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
