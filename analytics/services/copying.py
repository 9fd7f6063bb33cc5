"""Rows for `COPY … FROM STDIN` in text format, and the way in for rows that may collide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection
from psycopg import sql

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})
NULL = "\\N"
# An even number of backslashes before it: the escape of NUL, not the words of a text.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def text(value: str) -> str:
    """A string as a COPY field."""
    return value.translate(_ESCAPES)


def jsonb(value: Any, *, ordered: bool = False) -> str:
    """A JSON document that PostgreSQL takes: its texts cannot hold the character NUL.

    `ordered` sorts the keys, which makes the same document of the same value.
    """
    order = orjson.OPT_SORT_KEYS if ordered else 0
    document = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS | order).decode()
    return _NUL.sub(r"\1", document) if "\\u0000" in document else document


def json(value: Any) -> str:
    """A JSON document as a COPY field (JSON itself escapes tabs and newlines)."""
    return jsonb(value).replace("\\", "\\\\")


class Clock:
    """Nanoseconds to timestamptz text; remembers the last second, as rows come in order."""

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def text(self, time_ns: int) -> str:
        second, nanos = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"{self._prefix}.{nanos // 1000:06d}+00"


def copy_rows(table: str, columns: Sequence[str], rows: Iterable[str]) -> None:
    """Copy rows straight in; raises IntegrityError when one of them is there already."""
    data = "\n".join(rows)
    if not data:
        return
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    # The copy ends outside Django's cursor, and so would its errors.
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.write(data + "\n")


def copy_new_rows(table: str, columns: Sequence[str], rows: Iterable[str]) -> set[str]:
    """Copy the rows that are not there yet; returns their ids (32 hex digits).

    For use after `copy_rows` met a collision: COPY knows no ON CONFLICT, so the rows go through
    a temporary table.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    target, staging = sql.Identifier(table), sql.Identifier(f"{table}_staging")
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                staging, names, target
            )
        )
        copy_rows(f"{table}_staging", columns, rows)
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING "
                "RETURNING replace(id::text, '-', '')"
            ).format(target, names, names, staging)
        )
        new = {row[0] for row in cursor.fetchall()}
        cursor.execute(sql.SQL("DROP TABLE {}").format(staging))
    return new
