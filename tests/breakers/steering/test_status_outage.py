"""The public status page of a running site whose database lets nobody in."""

from __future__ import annotations

import time

import httpx
from django.db import connection

from tests.analytics.outage import RECOVERY_SECONDS, closed_database
from tests.embedded.running import until
from tests.livesite import LiveSite

PATHS = ["/status", "/status.json", "/status/feed.rss"]
# A pool waits five seconds for a connection, then says that there is none.
PATIENCE = 60


def test_it_says_that_it_cannot_know_and_comes_back(site: LiveSite) -> None:
    connection.ensure_connection()
    with httpx.Client(base_url=site.url, timeout=PATIENCE) as http:
        assert http.get("/status").status_code == 200
        with closed_database():
            until(lambda: http.get("/status").status_code == 503, PATIENCE, "an outage")
            for path in PATHS:
                answer = http.get(path)
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) > 0
                assert "cannot be read now" in answer.text
                assert "Traceback" not in answer.text
            assert http.get("/status").headers["Cache-Control"] == "no-store"
            began = time.monotonic()
            assert {http.get("/status").status_code for _ in range(20)} == {503}
            # One look at the store for all of them, not one for each, which would be 100 s.
            assert time.monotonic() - began < PATIENCE
        until(lambda: http.get("/status").status_code == 200, RECOVERY_SECONDS, "recovery")
        # Tests after this one find the site as it was.
        until(lambda: http.get("/readyz").status_code == 200, RECOVERY_SECONDS, "readiness")
