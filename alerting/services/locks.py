"""Whoever makes or renames what has a name of its own waits for others who do so."""

from __future__ import annotations

from django.db import connection
from django.db.models import Model


def names_lock(kind: type[Model]) -> None:
    """Hold the names of `kind` to the end of the caller's transaction, so that of two who choose
    the same name at once the second is told so. Taken before any row is locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext(%s))", [f"names:{kind._meta.db_table}"]
        )
