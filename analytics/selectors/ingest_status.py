"""What came in, what became of it, and how far behind the site is with it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
from django.db import connection

from analytics.choices import Outcome, Signal
from analytics.domain.fingerprints import MOST_PATTERNS, OTHERS, OTHERS_RULE
from analytics.domain.name_limits import NAME_LIMITS
from analytics.selectors.name_limits import FOLDING_WITHIN
from health.domain.catalogue_room import MOST_SERVICES, OTHER_SERVICES
from resilience_site.config import config
from resilience_site.core.taskqueue import QueueState, queue_state, quick_client

WINDOWS = (5, 60)
_MOST_FOLDING = 20


@dataclass(frozen=True)
class SignalCounts:
    """Items of one signal in a window. `rejected` is by reason; a reason may have come with whole
    requests whose items nobody could count."""

    signal: str
    stored: int
    duplicates: int
    rejected: dict[str, int]
    refused_requests: dict[str, int]
    requests: int

    @property
    def accepted(self) -> int:
        """Items that were acknowledged: stored now, or known to be stored already."""
        return self.stored + self.duplicates

    @property
    def rejected_total(self) -> int:
        return sum(self.rejected.values())


@dataclass(frozen=True)
class Folding:
    """A service with as many patterns as are kept apart; `errors` were counted as others so far."""

    service: str
    errors: int

    def __str__(self) -> str:
        return f"{self.service} ({self.errors:,} errors)"


@dataclass(frozen=True)
class FullNames:
    """A service with as many names of a kind as are kept apart."""

    service: str
    kind: str

    def __str__(self) -> str:
        return f"{self.service} ({NAME_LIMITS[self.kind].what})"


@dataclass(frozen=True)
class IngestStatus:
    """The last minutes of ingest (by window in minutes, then by signal), and its lag.

    Ages are seconds of the oldest thing that waits, 0 when nothing does: of errors due to be
    chained, of calls whose caller has not been seen (which give up by themselves), and of
    background tasks (None when the broker cannot be asked, or does not tell). `folding` are the
    services whose errors of the last hour were counted as `(other patterns)`, most first, at most
    20. `services_full`: telemetry of the last hour was stored as of `(other services)`. `full_names`:
    services of which something of the last hour came beyond any other limit, newest first, at most
    20.
    """

    at: datetime
    windows: dict[int, dict[str, SignalCounts]]
    chains_age: float
    edges_age: float
    queue: QueueState | None
    folding: tuple[Folding, ...] = ()
    services_full: bool = False
    full_names: tuple[FullNames, ...] = ()

    @property
    def folding_words(self) -> str:
        """Which services have too many patterns and what becomes of their errors; "" if none."""
        if not self.folding:
            return ""
        named = ", ".join(map(str, self.folding[:3]))
        more = f" and {len(self.folding) - 3} more" if len(self.folding) > 3 else ""
        return (
            f"more than {MOST_PATTERNS:,} patterns of errors in {named}{more}: the errors of further "
            f'patterns are stored, but counted under "{OTHERS}"'
        )

    @property
    def services_words(self) -> str:
        """That there are too many services, and what becomes of further ones; "" if not."""
        if not self.services_full:
            return ""
        return (
            f"more than {MOST_SERVICES:,} services: telemetry of further ones is stored, but under "
            f'"{OTHER_SERVICES}", with the service in its instance'
        )

    @property
    def names_words(self) -> str:
        """Which services give more names than are kept apart; "" if none."""
        if not self.full_names:
            return ""
        named = ", ".join(map(str, self.full_names[:3]))
        more = f" and {len(self.full_names) - 3} more" if len(self.full_names) > 3 else ""
        return (
            f"more names than are kept apart in {named}{more}: what comes under further ones is "
            "counted together"
        )

    @property
    def oldest_age(self) -> float:
        """Seconds that the oldest stored thing has been waiting to be processed."""
        queued = self.queue.oldest_age if self.queue else None
        return max(self.chains_age, queued or 0.0)


_FOLDING = f"""
SELECT jsonb_agg(jsonb_build_array(service, count) ORDER BY count DESC, service) FROM (
    SELECT service, count FROM analytics_errorpattern
    WHERE rule = '{OTHERS_RULE}' AND last_seen > %(since)s
    ORDER BY count DESC, service LIMIT %(most)s
) AS folding
"""

_FULL_NAMES = """
SELECT jsonb_agg(jsonb_build_array(service, kind) ORDER BY last_at DESC, service, kind) FROM (
    SELECT service, kind, last_at FROM analytics_foldedname WHERE last_at > %(since)s
    ORDER BY last_at DESC, service, kind LIMIT %(most)s
) AS full_names
"""


def ingest_status(*, now: datetime) -> IngestStatus:
    """The state of ingest at `now`."""
    windows = {minutes: _counts(now, timedelta(minutes=minutes)) for minutes in WINDOWS}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT min(due_at) FROM analytics_chainpending WHERE due_at <= %(now)s), "
            "(SELECT min(created_at) FROM analytics_edgepending), "
            f"coalesce(({_FOLDING}), '[]'::jsonb)::text, "
            "EXISTS (SELECT FROM health_service WHERE name = %(others)s AND last_seen > %(since)s), "
            f"coalesce(({_FULL_NAMES}), '[]'::jsonb)::text",
            {
                "now": now,
                "since": now - FOLDING_WITHIN,
                "most": _MOST_FOLDING,
                "others": OTHER_SERVICES,
            },
        )
        chain_due, edge_created, folding, services_full, names = cursor.fetchone()
    return IngestStatus(
        now,
        windows,
        _age(chain_due, now),
        _age(edge_created, now),
        _queue(),
        tuple(Folding(*each) for each in json.loads(folding)),
        services_full,
        tuple(FullNames(*each) for each in json.loads(names)),
    )


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _queue() -> QueueState | None:
    broker = config.celery_broker_url or config.redis_url
    if not broker.startswith(("redis", "unix")):
        return None
    try:
        return queue_state(quick_client(broker), time.time())
    except redis.RedisError:
        return None


def _counts(now: datetime, length: timedelta) -> dict[str, SignalCounts]:
    counts = {signal: SignalCounts(signal, 0, 0, {}, {}, 0) for signal in map(str, Signal.values)}
    # The running minute and the whole ones before it.
    parameters: list[Any] = [now, length, now]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT signal, outcome, reason, sum(items)::bigint, sum(requests)::bigint "
            "FROM analytics_ingestrollup "
            "WHERE minute > date_trunc('minute', %s::timestamptz) - %s AND minute <= %s "
            "GROUP BY signal, outcome, reason ORDER BY signal, outcome, reason",
            parameters,
        )
        rows = cursor.fetchall()
    for signal in counts:
        own = [row[1:] for row in rows if row[0] == signal]
        items = {(outcome, reason): number for outcome, reason, number, _ in own}
        requests = {(outcome, reason): number for outcome, reason, _, number in own}
        rejected = str(Outcome.REJECTED)
        counts[signal] = SignalCounts(
            signal,
            items.get((str(Outcome.STORED), ""), 0),
            items.get((str(Outcome.DUPLICATE), ""), 0),
            {reason: n for (outcome, reason), n in items.items() if outcome == rejected and n},
            {reason: n for (outcome, reason), n in requests.items() if outcome == rejected and n},
            sum(requests.values()),
        )
    return counts
