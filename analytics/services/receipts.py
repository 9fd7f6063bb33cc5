"""Batches received already, for items whose stored form keeps no identity of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

from django.db import connection

# A lost answer makes a client send again within minutes, a Collector's queue within five.
KEPT = timedelta(hours=1)


class Digest:
    """The digest of a batch, taken over its decoded items, so that no encoding changes it."""

    def __init__(self, *context: str) -> None:
        self._hash = blake2b(digest_size=16)
        self._empty = True
        for part in context:
            self._hash.update(part.encode("utf-8", "replace"))

    def add(self, *parts: str | bytes) -> None:
        self._empty = False
        for part in parts:
            data = part if isinstance(part, bytes) else part.encode("utf-8", "replace")
            # Lengths keep ("ab", "c") apart from ("a", "bc").
            self._hash.update(b"%d:" % len(data))
            self._hash.update(data)

    def hex(self) -> str:
        """32 hex digits, or "" when nothing was added."""
        return "" if self._empty else self._hash.hexdigest()


def batch_is_new(digest: str, received_at: datetime) -> bool:
    """Whether a batch was not received before; remembers it in the caller's transaction.

    The same batch in another transaction waits here until the first has ended.
    """
    if not digest:
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_batchreceipt (digest, received_at) VALUES (%s, %s) "
            "ON CONFLICT (digest) DO NOTHING",
            [digest, received_at],
        )
        return cursor.rowcount == 1
