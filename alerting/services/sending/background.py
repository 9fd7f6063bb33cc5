"""Sending beside the worker's tasks: a receiver that hangs holds a thread of its own, no task."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import Final

from django.db import connections

from alerting.services.sending.claims import due_exists
from alerting.services.sending.passing import pages_wait
from alerting.services.sending.turn import deliveries_send

logger = logging.getLogger(__name__)

# Turns of this process at the same time: each may wait for a receiver that hangs.
_MOST: Final = 4
_turns = threading.BoundedSemaphore(_MOST)


def sending_begin() -> bool:
    """Begin a turn of the sender in a thread of this process, where anything is due; whether one
    was begun. What the process takes with it when it ends is sent again once the lease is over."""
    now = datetime.now(UTC)
    if not (due_exists(now) or pages_wait(now)) or not _turns.acquire(blocking=False):
        return False
    threading.Thread(target=_turn, name="deliveries", daemon=True).start()
    return True


def _turn() -> None:
    try:
        deliveries_send(now=datetime.now(UTC))
    except Exception:
        # Nobody waits for this thread; the next turn tries again.
        logger.exception("A turn of the sender failed")
    finally:
        connections.close_all()
        _turns.release()
