"""Deleting what is past its time from tables that are not partitioned."""

from __future__ import annotations

from datetime import date

from django.db import connection, transaction
from psycopg import sql

_BATCH = 5_000


def delete_before(table: str, column: str, limit: date) -> int:
    """Delete the rows whose `column` lies before `limit`; how many.

    In short transactions, so that nobody waits; rows in use are left for the next run.
    """
    statement = sql.SQL(
        "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {column} < %s "
        "LIMIT %s FOR UPDATE SKIP LOCKED))"
    ).format(table=sql.Identifier(table), column=sql.Identifier(column))
    deleted = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [limit, _BATCH])
            count = cursor.rowcount
        deleted += count
        if count < _BATCH:
            return deleted
