"""Bounded catalogues: a service that names things by their arguments must not fill the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from psycopg import sql

_MAX_REMEMBERED = 50_000
# A service that has its fill names ever more: they are not looked up again with each batch.
_TAKEN_FOR_GRANTED = timedelta(seconds=30)
_MOST_REFUSED = 10_000


class Fit(NamedTuple):
    """Which ids are in a catalogue as this thread knows, which others are, and which may come in."""

    known: set[str]
    present: set[str]
    made: set[str]

    @property
    def admitted(self) -> set[str]:
        """All that have, or may have, an entry."""
        return self.known | self.present | self.made


class Refusals:
    """Services that had their fill a moment ago, and the ids that they were refused since."""

    def __init__(self) -> None:
        # Until when that is taken for granted, for which limit, and of which ids.
        self._full: dict[str, tuple[datetime, int, set[str]]] = {}
        self._held = 0

    def of(self, service: str, limit: int, at: datetime) -> set[str] | None:
        """The ids; None where it has to be looked again whether there is room."""
        until, of_limit, ids = self._full.get(service, (at, limit, set()))
        # A clock may be set back.
        fresh = timedelta() < until - at <= _TAKEN_FOR_GRANTED
        return ids if fresh and of_limit == limit else None

    def note(self, service: str, limit: int, at: datetime, ids: Collection[str]) -> None:
        """Remember that these find no room."""
        if self._held + len(self._full) > _MOST_REFUSED:
            self._full.clear()
            self._held = 0
        held = self.of(service, limit, at)
        if held is None:
            self._held -= len(self._full.pop(service, (at, limit, set()))[2])
            held = set()
            self._full[service] = (at + _TAKEN_FOR_GRANTED, limit, held)
        self._held -= len(held)
        held.update(ids)
        self._held += len(held)


class Catalogue:
    """The entries of one table, at most `limit` per service, and those that this thread knows.

    The table has `id`, `service`, `first_seen` and `last_seen` (a date) besides `columns`;
    `condition` says which of its entries count. While there is room, those that bring new entries
    of a service wait for each other, so that all processes together keep to the limit. With
    `refusals`, room that comes free is found half a minute later.
    """

    def __init__(
        self,
        table: str,
        columns: Sequence[str],
        limit: int | Callable[[], int],
        condition: str = "true",
        refusals: Refusals | None = None,
    ) -> None:
        self._table = sql.Identifier(table)
        self._columns = ("id", "service", *columns, "first_seen", "last_seen")
        self._limit = limit if callable(limit) else lambda: limit
        self._condition = sql.SQL(condition)
        self._lock = f"{table} {condition}"
        self._refusals = refusals
        self._day = date.min
        self._known: set[str] = set()

    def admit(
        self,
        service: str,
        rows: Mapping[str, Sequence[Any]],
        at: datetime,
        made: set[str] | None = None,
    ) -> set[str]:
        """Which of the ids (32 hex digits, each with its columns) have an entry, made if there is
        room; adds those that it makes to `made`. Runs inside the caller's transaction."""
        fit = self.fit(service, rows, at)
        if made is not None:
            made.update(fit.made)
        self.add(service, {key: rows[key] for key in fit.present | fit.made}, at)
        return fit.admitted

    def fit(self, service: str, keys: Iterable[str], at: datetime) -> Fit:
        """Which of the ids are there and which have room, for a caller that makes the entries."""
        if at.date() != self._day or len(self._known) > _MAX_REMEMBERED:
            self._day, self._known = at.date(), set()
        wanted = list(keys)
        known = {key for key in wanted if key in self._known}
        refused = self._refusals.of(service, self._limit(), at) if self._refusals else None
        strange = [key for key in wanted if key not in known and key not in (refused or ())]
        present = self._present(strange) if strange else set()
        absent = [key for key in strange if key not in present]
        if not absent:
            return Fit(known, present, set())
        if refused is not None or self._count(service) >= self._limit():
            if self._refusals:
                self._refusals.note(service, self._limit(), at, absent)
            return Fit(known, present, set())
        self._wait_for_others(service)
        present |= self._present(absent)
        absent = [key for key in absent if key not in present]
        room = max(0, self._limit() - self._count(service))
        return Fit(known, present, set(absent[:room]))

    def remember(self, keys: Iterable[str]) -> None:
        """Know the ids to be there, once the caller's transaction has been committed."""
        remembered, new = self._known, list(keys)
        transaction.on_commit(lambda: remembered.update(new))

    def add(self, service: str, rows: Mapping[str, Sequence[Any]], at: datetime) -> None:
        """Make entries whatever room there is; those that exist were seen again today."""
        strange = sorted(key for key in rows if key not in self._known)
        if not strange:
            return
        self._write(service, {key: rows[key] for key in strange}, at)
        self.remember(strange)

    def _wait_for_others(self, service: str) -> None:
        # To the end of the transaction; what they made meanwhile is seen by the next statement.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtext(%s), hashtext(%s))", [self._lock, service]
            )

    def _present(self, keys: Sequence[str]) -> set[str]:
        query = sql.SQL("SELECT replace(id::text, '-', '') FROM {} WHERE id = ANY(%s::uuid[])")
        with connection.cursor() as cursor:
            cursor.execute(query.format(self._table), [list(keys)])
            return {row[0] for row in cursor.fetchall()}

    def _count(self, service: str) -> int:
        query = sql.SQL("SELECT count(*) FROM {} WHERE service = %s AND {}")
        with connection.cursor() as cursor:
            cursor.execute(query.format(self._table, self._condition), [service])
            return int(cursor.fetchone()[0])

    def _write(self, service: str, rows: Mapping[str, Sequence[Any]], at: datetime) -> None:
        # In the order of ids, so that two writers never wait for each other in a circle.
        statement = sql.SQL(
            "INSERT INTO {table} AS t ({columns}) VALUES ({values}) ON CONFLICT (id) DO UPDATE "
            "SET last_seen = excluded.last_seen WHERE t.last_seen < excluded.last_seen"
        ).format(
            table=self._table,
            columns=sql.SQL(", ").join(map(sql.Identifier, self._columns)),
            values=sql.SQL(", ").join([sql.Placeholder()] * len(self._columns)),
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                statement, [(key, service, *row, at, at.date()) for key, row in rows.items()]
            )
