"""Counting what was refused before it could be decoded; written once a second per process.

Requests that are stored count their items in their own transaction; a refused request has none,
and a misconfigured exporter must not cost a write each time.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import UTC, datetime

from analytics.choices import Outcome
from analytics.models.partitions import INGEST_ROLLUPS
from analytics.services.rollups import minute_of, write_ingest_counts
from resilience_site.core import partitions

_lock = threading.Lock()
_pending: dict[tuple[datetime, str, str], list[int]] = defaultdict(lambda: [0, 0])
# Reasons come from this code, not from senders, so their number is bounded.


def record_refusal(signal: str, reason: str, items: int = 0) -> None:
    """Remember one refused request; `items` where their number is known."""
    minute = minute_of(int(datetime.now(UTC).timestamp() * 1e9))
    with _lock:
        counts = _pending[minute, signal, reason]
        counts[0] += items
        counts[1] += 1


def flush_refusals() -> int:
    """Write the remembered refusals; returns how many requests they were.

    They stay remembered when the database fails, and the error is raised.
    """
    with _lock:
        taken = dict(_pending)
        _pending.clear()
    if not taken:
        return 0
    try:
        minutes = [key[0] for key in taken]
        partitions.ensure(INGEST_ROLLUPS, min(minutes), max(minutes))
        write_ingest_counts(
            (minute, signal, str(Outcome.REJECTED), reason, items, requests)
            for (minute, signal, reason), (items, requests) in taken.items()
        )
    except Exception:
        with _lock:
            for key, (items, requests) in taken.items():
                _pending[key][0] += items
                _pending[key][1] += requests
        raise
    return sum(requests for _, requests in taken.values())
