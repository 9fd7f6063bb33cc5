"""Telling a worker to look at a run at once, rather than at the next tick."""

from __future__ import annotations

import logging
from functools import cache
from typing import Final
from uuid import UUID

from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

QUEUE: Final = "healing"
LOOK: Final = "healing.tasks.run_look"
# A word that nobody heard by then is old: the tick has come round often since.
_EXPIRES: Final = 60
_TIMEOUT: Final = 1.0


@cache
def _sender() -> Celery:
    """Web processes have no Celery of their own; this one only sends."""
    sender = Celery("healing-sender", broker=settings.CELERY_BROKER_URL, set_as_current=False)
    sender.conf.broker_transport_options = {
        "socket_timeout": _TIMEOUT,
        "socket_connect_timeout": _TIMEOUT,
        "max_retries": 1,
    }
    return sender


def look_soon(run_id: UUID) -> None:
    """Have a worker look at a run once the caller's transaction commits. Where the broker does not
    answer, the tick finds the run in the table."""
    transaction.on_commit(lambda: _tell(run_id), robust=True)


def _tell(run_id: UUID) -> None:
    try:
        _sender().send_task(
            LOOK, [str(run_id)], queue=QUEUE, expires=_EXPIRES, retry=False, ignore_result=True
        )
    except OperationalError:
        logger.warning("No worker could be told of the run %s; the next tick finds it", run_id)
