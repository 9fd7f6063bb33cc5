"""Claims of due deliveries: each is sent by one sender at a time, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from alerting.channels.base import ATTEMPT_SECONDS
from alerting.choices import Purpose
from alerting.domain.retrying import ASKED_AHEAD, LONGEST_PAUSE
from alerting.models import Delivery
from resilience_site.config import config

# Beyond an attempt, what a sender may take until it has written down what came of it.
LEASE: Final = timedelta(seconds=ATTEMPT_SECONDS + 45)
MOST_AT_ONCE: Final = 50
# Attempts of one channel at the same time; a channel that fails is tried with one message alone.
PER_CHANNEL: Final = 10


@dataclass(frozen=True)
class Claim:
    """A delivery that the caller sends now; `attempt` counts from 1. What comes of it is taken
    only while `fence` is still the delivery's own."""

    delivery: Delivery
    fence: int
    attempt: int


# What is due or leased until a moment that no sender waits for was left so by a wrong clock.
LONGEST_WAIT: Final = timedelta(seconds=LONGEST_PAUSE + 600)
_FREE: Final = (
    "{d}.state IN ('pending', 'sending') "
    "AND ({d}.next_at <= %(now)s OR {d}.next_at > %(ahead)s) "
    "AND ({d}.lease_until IS NULL OR {d}.lease_until < %(now)s OR {d}.lease_until > %(ahead)s)"
)
_TAKE: Final = """
UPDATE alerting_delivery d SET
    state = 'sending', lease_until = %(now)s + %(lease)s,
    fence = d.fence + 1, attempts = d.attempts + 1
WHERE d.id = ANY(ARRAY(SELECT id FROM picked))
RETURNING d.id
"""
# Of one group on one channel the oldest goes first: an end must not overtake its beginning. Among
# the others, pages that fire go first, and with them what they wait for in their groups. Both are
# seen in one pass over all that is open (what is of no group stands alone): looked up for each, they
# took seconds where a channel recovers and thousands are due at once. For the same reason those that
# are taken are named before their rows are locked, and not joined: after an ANALYZE between two bursts
# the planner expects one row of each of them, and would go through all that waits for each.
_DUE: Final = f"""
WITH busy AS MATERIALIZED (
    SELECT channel_id, count(*) AS sending FROM alerting_delivery
    WHERE state = 'sending' AND lease_until >= %(now)s GROUP BY channel_id
), waiting AS MATERIALIZED (
    SELECT id, channel_id, purpose, state, next_at, lease_until, created_at, attempts,
        row_number() OVER (its_group ORDER BY created_at, id) AS turn,
        bool_or(
            purpose = 'alerts' AND message @> '{{"status": "firing", "severity": "page"}}'
        ) OVER its_group AS urgent
    FROM alerting_delivery WHERE state IN ('pending', 'sending')
    WINDOW its_group AS (
        PARTITION BY channel_id, group_id, CASE WHEN group_id IS NULL THEN id END
    )
), candidate AS (
    SELECT d.id, c.failures, d.urgent, d.next_at, d.created_at,
        coalesce(busy.sending, 0) + row_number() OVER (
            PARTITION BY d.channel_id ORDER BY d.urgent DESC, d.next_at, d.attempts, d.created_at
        ) AS place
    FROM waiting d
    JOIN alerting_channel c ON c.id = d.channel_id
    LEFT JOIN busy ON busy.channel_id = d.channel_id
    WHERE d.turn = 1 AND {_FREE.format(d="d")} AND d.purpose = ANY(%(purposes)s)
    AND c.enabled AND c.paused_at IS NULL
    AND (c.not_before IS NULL OR c.not_before <= %(now)s OR c.not_before > %(asked)s)
), chosen AS MATERIALIZED (
    SELECT array_agg(id ORDER BY urgent DESC, next_at, created_at) AS ids FROM candidate
    WHERE place <= CASE WHEN failures > 0 THEN 1 ELSE %(per_channel)s END
), picked AS (
    SELECT d.id FROM alerting_delivery d
    WHERE d.id = ANY((SELECT ids FROM chosen)::uuid[]) AND {_FREE.format(d="d")}
    ORDER BY array_position((SELECT ids FROM chosen), d.id) LIMIT %(limit)s
    FOR UPDATE OF d SKIP LOCKED
)
{_TAKE}
"""
_ONE: Final = f"""
WITH picked AS (
    SELECT d.id FROM alerting_delivery d
    WHERE d.id = %(id)s AND {_FREE.format(d="d")} FOR UPDATE OF d SKIP LOCKED
)
{_TAKE}
"""


def purposes_sent() -> list[str]:
    """What a turn may send: without proactive alerting, reports alone. Tests are sent by whoever
    waits for them."""
    if not config.proactive_alerting_enabled:
        return [Purpose.REPORT.value]
    return [each.value for each in Purpose if each != Purpose.TEST]


def due_exists(now: datetime) -> bool:
    """Whether a sender would find anything to do."""
    ahead = now + LONGEST_WAIT
    open_ones = Delivery.objects.filter(
        Q(next_at__lte=now) | Q(next_at__gt=ahead),
        state__in=["pending", "sending"],
        purpose__in=purposes_sent(),
    )
    return open_ones.exclude(lease_until__gte=now, lease_until__lte=ahead).exists()


def claim_due(*, now: datetime, limit: int = MOST_AT_ONCE) -> list[Claim]:
    """Claim at most `limit` deliveries that are due: pages that fire first, then the longest due."""
    return _claimed(
        _DUE,
        {
            "now": now,
            "ahead": now + LONGEST_WAIT,
            "asked": now + ASKED_AHEAD,
            "lease": LEASE,
            "limit": limit,
            "per_channel": PER_CHANNEL,
            "purposes": purposes_sent(),
        },
    )


def claim_one(*, delivery_id: UUID, now: datetime) -> Claim | None:
    """Claim a delivery whatever the state of its channel; None while somebody else has it."""
    values = {"id": delivery_id, "now": now, "ahead": now + LONGEST_WAIT, "lease": LEASE}
    return next(iter(_claimed(_ONE, values)), None)


def _claimed(statement: str, values: dict[str, Any]) -> list[Claim]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        ids = [row[0] for row in cursor.fetchall()]
    return [Claim(each, each.fence, each.attempts) for each in _rows(ids)]


def _rows(ids: Sequence[UUID]) -> list[Delivery]:
    if not ids:
        return []
    found = Delivery.objects.filter(pk__in=ids).select_related("channel")
    return list(found.order_by("next_at", "created_at"))
