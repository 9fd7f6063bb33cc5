"""The Celery application: `celery -A resilience_site.celery worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import (
    beat_init,
    before_task_publish,
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
)

from resilience_site.core import taskqueue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")

app = Celery("resilience_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
before_task_publish.connect(taskqueue.stamp)


@setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Celery would replace the log settings; Django's are already in place."""


def _observe(role: str) -> None:
    from resilience_site import otel

    otel.setup(role)


@worker_init.connect
def observe_worker(sender: Any = None, **_: Any) -> None:
    # A forking pool reports from its children: an exporter's thread does not survive the fork.
    if "prefork" not in str(getattr(sender, "pool_cls", "")):
        _observe("worker")


@worker_process_init.connect
def observe_worker_process(**_: Any) -> None:
    _observe("worker")


@worker_process_shutdown.connect
def report_the_last(**_: Any) -> None:
    from resilience_site import otel

    otel.shutdown()


@beat_init.connect
def observe_beat(**_: Any) -> None:
    _observe("beat")
