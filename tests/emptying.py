"""Emptying tables between tests. Nearly all of them are empty already, and those cost nothing."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection, transaction

from resilience_site.core import partitions

# Made once with the database, and the same for every test.
_KEPT = {"django_content_type", "auth_permission"}
# Refuses to delete a row, not to be emptied.
_APPEND_ONLY = {"core_auditentry"}


def empty(tables: Iterable[str]) -> None:
    """Delete all rows of tables. What is being written to them meanwhile is waited for."""
    names = sorted(tables)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE")
        filled = ", ".join(f"('{name}', EXISTS (SELECT FROM {name}))" for name in names)
        cursor.execute(f"SELECT name FROM (VALUES {filled}) AS t (name, filled) WHERE filled")
        # References are checked at the end of the transaction, whatever goes first.
        for (name,) in cursor.fetchall():
            cursor.execute(f"{'TRUNCATE' if name in _APPEND_ONLY else 'DELETE FROM'} {name}")


def empty_partitions() -> None:
    """Empty the partitioned tables, which Django's own flush does not know."""
    empty(table.table for table in partitions.registered())


def empty_models() -> None:
    """Empty the tables of all models that Django manages, as its flush does."""
    managed = connection.introspection.django_table_names(only_existing=True, include_views=False)
    empty(set(managed) - _KEPT)
