"""The journal: what changed, appended in the change's own transaction, read by cursor.

Its readers are open pages (through hints) and the background jobs of higher apps. The order of
`id` is the order of commit, so a reader that has seen `id` N never finds a smaller one later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import connection, transaction

from resilience_site.core import partitions, wakeup
from resilience_site.core.choices import Topic

TABLE = partitions.PartitionedTable(
    table="core_journalentry", span="day", retention=lambda: timedelta(days=7)
)
# Any constant that no other advisory lock of the site uses.
_APPEND_LOCK = 0x6A6F75726E616C


class Entry(NamedTuple):
    """What `append` takes: `key` names the changed thing, `state` its new state, if it has one."""

    topic: str
    kind: str
    key: str
    state: str = ""
    service: str = ""
    payload: Mapping[str, Any] = {}


class Recorded(NamedTuple):
    """What `read` gives back: an entry with its cursor and its time."""

    id: int
    at: datetime
    topic: str
    kind: str
    key: str
    state: str
    service: str
    payload: dict[str, Any]


def append(entries: Sequence[Entry]) -> None:
    """Append `entries` to the caller's transaction and wake the open pages once it commits.

    Call it last in the transaction: from here to the commit, other writers of the journal wait,
    which is what makes the order of ids the order of commits. Raises `TransactionManagementError`
    outside `transaction.atomic` and `ValueError` for an unknown topic.
    """
    if not entries:
        return
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "journal.append belongs inside the transaction of the change that it records."
        )
    for entry in entries:
        if entry.topic not in Topic.values:
            raise ValueError(f"unknown journal topic {entry.topic!r}")
    now = datetime.now(UTC)
    partitions.ensure(TABLE, now, now)
    topics, kinds, keys, states, services, payloads = zip(*entries, strict=True)
    with connection.cursor() as cursor:
        # The lock comes in a statement of its own, before any id is drawn.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_APPEND_LOCK])
        cursor.execute(
            "INSERT INTO core_journalentry (at, topic, kind, key, state, service, payload) "
            "SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], "
            "%s::text[], %s::jsonb[])",
            [
                now,
                list(topics),
                list(kinds),
                list(keys),
                list(states),
                list(services),
                [orjson.dumps(payload).decode() for payload in payloads],
            ],
        )
    transaction.on_commit(wakeup.publish, robust=True)


def read(since: int, topics: Collection[str] | None = None, limit: int = 1000) -> list[Recorded]:
    """The first `limit` entries after the cursor `since`, oldest first; all topics where None."""
    wanted = None if topics is None else list(topics)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, at, topic, kind, key, state, service, payload FROM core_journalentry "
            "WHERE id > %s AND (%s::text[] IS NULL OR topic = ANY(%s)) ORDER BY id LIMIT %s",
            [since, wanted, wanted, limit],
        )
        return [Recorded._make((*row[:7], orjson.loads(row[7]))) for row in cursor.fetchall()]


def read_hints(
    since: int, topics: Collection[str] | None = None, limit: int = 1000
) -> list[tuple[int, str, str, str]]:
    """As `read`, but only (id, topic, key, state): what the fan-out to open pages needs."""
    wanted = None if topics is None else list(topics)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, topic, key, state FROM core_journalentry "
            "WHERE id > %s AND (%s::text[] IS NULL OR topic = ANY(%s)) ORDER BY id LIMIT %s",
            [since, wanted, wanted, limit],
        )
        return cursor.fetchall()


def latest_cursor() -> int:
    """The cursor of the newest committed entry, 0 while the journal is empty.

    A page takes it before it reads what it renders, so that its socket misses nothing.
    """
    return _extreme("max") or 0


def oldest_cursor() -> int | None:
    """The cursor of the oldest entry that retention has kept, None while the journal is empty."""
    return _extreme("min")


def _extreme(function: str) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(id) FROM core_journalentry")
        return cursor.fetchone()[0]
