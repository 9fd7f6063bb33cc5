"""With no worker at all, a web process notices, evaluates, routes and sends by itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from alerting.models import Route
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from alerting.services.shipped_routing import routing_ship
from tests.alerting.delivery.receivers import Received, Receiver
from tests.alerting.delivery.scene import webhook
from tests.livesite import ROOT, _test_database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

# The web process as it is, in more of a hurry.
_WEB = """
import django
django.setup()
from datetime import timedelta
from resilience_site.embedded import web
from resilience_site.probes import troubles, watchman
watchman.EVERY_SECONDS = 0.2
troubles.BEGIN_AFTER = timedelta(seconds=1)
raise SystemExit(web.main())
"""


@pytest.fixture
def web() -> Iterator[None]:
    """Begins as the test does, which sets the scene before."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        environment = {
            **os.environ,
            "DATABASE_URL": _test_database_url(),
            "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
            "PORT": str(port),
            "PROACTIVE_ALERTING_ENABLED": "true",
            "RESILIENCE_ALLOW_PRIVATE_TARGETS": "true",
            "RESILIENCE_WEB_STANDS_IN": "true",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", _WEB], cwd=ROOT, env=environment, stdin=listening.fileno()
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def told(receiver: Receiver) -> threading.Event:
    """A site whose worker died an hour ago; set once somebody is told that there is none."""
    heard = threading.Event()

    def hear(request: Received) -> None:
        if request.document["commonLabels"].get("part") == "worker":
            heard.set()

    receiver.first = hear
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    rules_ship(now=hour_ago)
    routing_ship()
    Route.objects.update(group_wait_seconds=0)
    webhook(receiver.url)
    rules_evaluate(now=hour_ago)
    return heard


def test_a_web_process_pages_that_no_worker_runs(
    told: threading.Event, web: None, receiver: Receiver
) -> None:
    assert told.wait(180)
    page = next(
        each.document for each in receiver.received
        if each.document["commonLabels"].get("part") == "worker"
    )  # fmt: skip
    labels = page["commonLabels"]
    assert (page["status"], labels["alertname"], labels["severity"]) == (
        "firing", "site_trouble", "page",
    )  # fmt: skip
    (alert,) = page["alerts"]
    assert alert["annotations"]["summary"] == "This site: no background worker answered"
    assert "or else by the web process" in alert["annotations"]["description"]
