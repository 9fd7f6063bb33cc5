"""The lock of the dependency graph: whoever changes an edge or a state that others follow holds it.

Always taken before any row of a check is written, so that no two writers wait for each other.
"""

from __future__ import annotations

from django.db import connection

# Any constant that no other advisory lock of the site uses.
_GRAPH_LOCK = 0x6865616C746847


def graph_lock() -> None:
    """Wait for the graph's lock; it is held to the end of the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_GRAPH_LOCK])


def graph_lock_shared() -> None:
    """Wait until nobody evaluates the graph, and let nobody begin to until the transaction ends.

    For whoever writes checks' rows but changes nothing that others follow; never to be followed
    by `graph_lock` in the same transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_GRAPH_LOCK])
