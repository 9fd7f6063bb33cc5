"""Tells the journal which service calls which, once a day for each pair: from that, apps below
propose what depends on what."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from analytics.services.rollups import CallFigures
from resilience_site.core.journal import Entry

KIND: Final = "edge_observed"
_TELL_EVERY: Final = timedelta(days=1)
# A called party that is in no catalogue may come into it.
_ASK_AGAIN: Final = timedelta(minutes=1)
_MOST_KNOWN: Final = 20_000

# Pairs of which this process need not ask the database before that time.
_quiet: dict[tuple[str, str], datetime] = {}

_TELL: Final = """
INSERT INTO analytics_edgesighting AS t (caller, callee, told_at)
SELECT pair.caller, pair.callee, %(at)s
FROM unnest(%(callers)s::text[], %(callees)s::text[]) AS pair (caller, callee)
JOIN health_service s ON s.name = pair.callee
JOIN health_service c ON c.name = pair.caller
ORDER BY pair.caller, pair.callee
ON CONFLICT (caller, callee) DO UPDATE SET told_at = excluded.told_at
    WHERE t.told_at <= excluded.told_at - %(every)s::interval
RETURNING t.caller, t.callee
"""


def edges_tell(figures: CallFigures, at: datetime) -> list[Entry]:
    """The entries for pairs of services that called each other in a batch and of which the journal
    has not been told for a day, by whichever process.

    Belongs inside the transaction that counts the calls; `calls` are those of the batch.
    """
    calls: Counter[tuple[str, str]] = Counter()
    vias: dict[tuple[str, str], str] = {}
    for (_, caller, callee, via), counted in figures.edges.items():
        pair = (caller, callee)
        if caller != callee and _quiet.get(pair, at) <= at:
            calls[pair] += counted.calls
            vias[pair] = str(via)
    if not calls:
        return []
    told = _note(sorted(calls), at)
    transaction.on_commit(lambda: _remember(list(calls), at))
    return [
        Entry(
            "dependencies",
            KIND,
            f"{caller}→{callee}",
            service=caller,
            payload={
                "caller": caller,
                "callee": callee,
                "calls": calls[caller, callee],
                "via": vias[caller, callee],
            },
        )
        for caller, callee in told
    ]


def _note(pairs: list[tuple[str, str]], at: datetime) -> list[tuple[str, str]]:
    callers, callees = zip(*pairs, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _TELL,
            {
                "callers": list(callers),
                "callees": list(callees),
                "at": at,
                "every": f"{_TELL_EVERY.total_seconds()} seconds",
            },
        )
        return sorted(cursor.fetchall())


def _remember(pairs: list[tuple[str, str]], at: datetime) -> None:
    if len(_quiet) + len(pairs) > _MOST_KNOWN:
        _quiet.clear()
    _quiet.update(dict.fromkeys(pairs, at + _ASK_AGAIN))


def forget() -> None:
    """As a process that has just begun."""
    _quiet.clear()
