"""Entries of the journal as rules read them: forward from a cursor, or of a range of time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import connection

from alerting.domain.rules.conditions import OfJournal
from alerting.domain.rules.fields import Entry

_PAGE: Final = 5_000
_COLUMNS: Final = "id, at, topic, kind, key, state, service, payload"
_AFTER: Final = f"""
SELECT {_COLUMNS} FROM core_journalentry
WHERE id > %s AND topic = ANY(%s) AND kind = ANY(%s) ORDER BY id LIMIT %s
"""
_WITHIN: Final = f"""
SELECT {_COLUMNS} FROM core_journalentry
WHERE id > %s AND at >= %s AND (%s::timestamptz IS NULL OR at < %s) AND topic = ANY(%s) AND kind = ANY(%s)
ORDER BY id LIMIT %s
"""


def entries_after(
    cursor: int, topics: Collection[str], kinds: Collection[str], limit: int
) -> list[Entry]:
    """The first `limit` entries of some kinds after a cursor, oldest first."""
    return _rows(_AFTER, [cursor, sorted(topics), sorted(kinds), limit])


def entries_within(
    since: datetime,
    until: datetime | None,
    condition: OfJournal,
    *,
    through: int | None = None,
) -> Iterator[Entry]:
    """All entries of a range that a condition may read, oldest first; up to the cursor `through`
    where one is given. Without `until` the range has no end."""
    kinds = sorted(kinds_of(condition))
    cursor = 0
    while True:
        page = _rows(_WITHIN, [cursor, since, until, until, [condition.topic], kinds, _PAGE])
        for entry in page:
            if through is not None and entry.id > through:
                return
            yield entry
        if len(page) < _PAGE:
            return
        cursor = page[-1].id


def kinds_of(condition: OfJournal) -> set[str]:
    """The kinds that begin it and those that end it."""
    ending = condition.resolved_by
    return {*condition.kinds, *(ending.kinds if ending else ())}


def _rows(statement: str, parameters: list[Any]) -> list[Entry]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [
            Entry(id_, at, topic, kind, key, state, service, orjson.loads(payload))
            for id_, at, topic, kind, key, state, service, payload in cursor.fetchall()
        ]
