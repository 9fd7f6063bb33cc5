"""How much services may name: whoever holds an ingest key must not fill the site with names.

What there is already is always written on; beyond a bound nothing new is added, and the log says
so. Rows of what fell silent are deleted after some days, which makes room again.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from django.db import connection
from psycopg import sql

log = logging.getLogger(__name__)

_TELL_EVERY = 3_600.0
_MOST_TOLD = 1_000


class Bound(NamedTuple):
    """The most rows of a table, of one service and in all. `columns` are its key; one of them is
    `service`."""

    table: str
    columns: tuple[str, ...]
    of_service: int
    in_all: int


_PLACE = ("service", "name", "instance")
INSTANCES = Bound("breakers_instance", ("service", "instance"), 5_000, 50_000)
BREAKERS = Bound("breakers_breaker", _PLACE, 10_000, 100_000)
BULKHEADS = Bound("breakers_bulkhead", _PLACE, 10_000, 100_000)
BUDGETS = Bound("breakers_retrybudget", ("service", "dependency", "instance"), 10_000, 100_000)
MEMBERS = Bound("breakers_domainmember", ("domain", "service", "name"), 2_000, 20_000)
DOCUMENTS = Bound("breakers_controldocument", ("service",), 1, 2_000)

Key = tuple[str, ...]


def admitted(bound: Bound, keys: Collection[Key]) -> set[Key]:
    """Those of the keys that the table holds, and the new ones that there is room for.

    Processes that reach a bound together may pass it by what they bring at that moment.
    """
    if not keys:
        return set()
    found = _present(bound, keys)
    absent = sorted(set(keys) - found)
    if not absent:
        return found
    place = bound.columns.index("service")
    in_all, of_service = _counts(bound, sorted({key[place] for key in absent}))
    turned = set[Key]()
    for key in absent:
        service = key[place]
        if in_all < bound.in_all and of_service[service] < bound.of_service:
            found.add(key)
            in_all += 1
            of_service[service] += 1
        else:
            turned.add(key)
    if turned:
        # It may be what somebody else added meanwhile that left no room for the same.
        came = _present(bound, turned)
        found |= came
        _tell_of(bound, Counter(key[place] for key in turned - came), in_all >= bound.in_all)
    return found


def _present(bound: Bound, keys: Collection[Key]) -> set[Key]:
    query = sql.SQL(
        "SELECT {columns} FROM {table} JOIN unnest({arrays}) AS k ({columns}) USING ({columns})"
    )
    columns = sql.SQL(", ").join(map(sql.Identifier, bound.columns))
    arrays = sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(bound.columns))
    with connection.cursor() as cursor:
        cursor.execute(
            query.format(columns=columns, table=sql.Identifier(bound.table), arrays=arrays),
            [list(column) for column in zip(*keys, strict=True)],
        )
        return {tuple(row) for row in cursor.fetchall()}


def _counts(bound: Bound, services: Sequence[str]) -> tuple[int, Counter[str]]:
    """How many rows there are in all, and of each of the services."""
    table = sql.Identifier(bound.table)
    in_all = sql.SQL("SELECT count(*) FROM {}").format(table)
    each = sql.SQL(
        "SELECT service, count(*) FROM {} WHERE service = ANY(%s::text[]) GROUP BY service"
    ).format(table)
    with connection.cursor() as cursor:
        cursor.execute(in_all)
        total = int(cursor.fetchone()[0])
        cursor.execute(each, [list(services)])
        return total, Counter(dict(cursor.fetchall()))


def _tell_of(bound: Bound, turned: Counter[str], is_full: bool) -> None:
    if is_full and turned:
        # Whoever makes up services must not fill the log with their names.
        _tell(bound, "any service", turned.total())
    else:
        for service, count in turned.items():
            _tell(bound, f"the service {service!r}", count)


_told: dict[tuple[str, str], float] = {}


def _tell(bound: Bound, whose: str, count: int) -> None:
    """Say it once an hour."""
    now, about = time.monotonic(), (bound.table, whose)
    if now - _told.get(about, -_TELL_EVERY) < _TELL_EVERY:
        return
    if len(_told) >= _MOST_TOLD:
        _told.clear()
    _told[about] = now
    log.warning(
        "%d new rows of %s are left out of %s: there are at most %d of a service and %d in all",
        count, whose, bound.table, bound.of_service, bound.in_all,
    )  # fmt: skip
