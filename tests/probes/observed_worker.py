"""The site's Celery application with a task to observe, run by `test_worker_telemetry`."""

from __future__ import annotations

from django.db import connection

from resilience_site.celery import app
from resilience_site.config import config
from resilience_site.core.taskqueue import quick_client

QUEUE = "tests.observed"


@app.task(name="tests.observed")
def observed(reply: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    quick_client(config.redis_url).lpush(reply, "done")
