"""Time partitions: made ahead of the rows, dropped whole by retention.

Each app registers its partitioned tables in its `AppConfig.ready`. There is no default partition:
rows that fell into one would block making the right one later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import OperationalError, connection, transaction
from psycopg import errors as pg
from psycopg import sql

log = logging.getLogger(__name__)

SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_NAME_FORMAT = {"hour": "%Y%m%d%H", "day": "%Y%m%d"}
# Names carry their bounds, so that retention needs no look into the catalogue's expressions.
_LOCK_TIMEOUT = "2s"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PartitionedTable:
    """A table `PARTITION BY RANGE (column)`, one partition per `span` ("hour" or "day").

    `retention` says how old a row may be; it is asked each time, as settings can change.
    """

    table: str
    span: str
    retention: Callable[[], timedelta]
    ahead: int = 2

    @property
    def width(self) -> timedelta:
        return SPANS[self.span]

    def floor(self, at: datetime) -> datetime:
        """The start of the partition that holds `at`."""
        return at - (at - _EPOCH) % self.width

    def name(self, start: datetime) -> str:
        return f"{self.table}_{start.strftime(_NAME_FORMAT[self.span])}"

    def start_of(self, partition: str) -> datetime:
        """The lower bound that a partition's name states."""
        stamp = partition.removeprefix(f"{self.table}_")
        return datetime.strptime(stamp, _NAME_FORMAT[self.span]).replace(tzinfo=UTC)


_tables: dict[str, PartitionedTable] = {}
_known: set[str] = set()
_known_lock = threading.Lock()


def register(table: PartitionedTable) -> PartitionedTable:
    _tables[table.table] = table
    return table


def registered() -> Iterable[PartitionedTable]:
    return _tables.values()


def forget_known() -> None:
    """Drop this process's memory of which partitions exist (after some were dropped)."""
    with _known_lock:
        _known.clear()


def ensure(table: PartitionedTable, first: datetime, last: datetime) -> None:
    """Make the partitions that hold `first`..`last`; those known to exist cost nothing.

    Best called before `transaction.atomic`: inside one, the new partition joins the caller's
    transaction and is remembered only once that commits.
    """
    start = table.floor(first)
    missing = []
    while start <= last:
        if table.name(start) not in _known:
            missing.append(start)
        start += table.width
    if not missing:
        return
    for start in missing:
        _create(table, start)
    transaction.on_commit(lambda: _remember(table.name(start) for start in missing))


def _remember(names: Iterable[str]) -> None:
    with _known_lock:
        _known.update(names)


def _create(table: PartitionedTable, start: datetime) -> None:
    name = table.name(start)
    statement = sql.SQL(
        "CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})"
    ).format(
        sql.Identifier(name),
        sql.Identifier(table.table),
        sql.Literal(start.isoformat()),
        sql.Literal((start + table.width).isoformat()),
    )
    with transaction.atomic(), connection.cursor() as cursor:
        # Two processes making the same partition at once would fail on the catalogue's own keys.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partition:{table.table}"])
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c AND NOT inhdetachpending) "
            "FROM to_regclass(%s) AS c WHERE c IS NOT NULL",
            [name],
        )
        found = cursor.fetchone()
        if found is not None and not found[0]:
            # Retention detached it and could not drop it yet.
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        if found is None or not found[0]:
            cursor.execute(statement)


def ensure_ahead(now: datetime) -> None:
    """Make the partitions of the present and of the near future of every table."""
    for table in registered():
        ensure(table, now - table.width, now + table.width * table.ahead)


def existing(table: PartitionedTable) -> list[str]:
    """The names of the attached partitions, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s) ORDER BY 1",
            [table.table],
        )
        return [row[0] for row in cursor.fetchall()]


def _detached_leftovers(table: PartitionedTable) -> list[str]:
    """Partitions that an interrupted drop had already detached."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid "
            "WHERE c.relkind = 'r' AND i.inhrelid IS NULL AND c.relname ~ %s "
            "AND c.relnamespace = current_schema()::regnamespace",
            [f"^{table.table}_[0-9]+$"],
        )
        return [row[0] for row in cursor.fetchall()]


def drop_expired(now: datetime) -> list[str]:
    """Drop every partition that is past its table's retention; returns the dropped names.

    Detaches concurrently, so that readers and writers of the table go on. A partition that is
    locked for longer than two seconds is left for the next run, with the later ones of its table.
    """
    dropped = []
    for table in registered():
        oldest_kept = now - table.retention()
        expired = [n for n in existing(table) if table.start_of(n) + table.width <= oldest_kept]
        for name in [*expired, *_detached_leftovers(table)]:
            if not _drop(table, name, attached=name in expired):
                # Its detaching stays pending, and a table can have only one that is.
                break
            dropped.append(name)
    if dropped:
        forget_known()
    return dropped


def _drop(table: PartitionedTable, name: str, *, attached: bool) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
            try:
                if attached:
                    _detach(table, name)
                cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
            finally:
                cursor.execute("RESET lock_timeout")
    except OperationalError as error:
        if not isinstance(error.__cause__, pg.LockNotAvailable):
            raise
        log.warning("partition %s is in use; it will be dropped by the next run", name)
        return False
    return True


def _detach(table: PartitionedTable, name: str) -> None:
    parent, child = sql.Identifier(table.table), sql.Identifier(name)
    with connection.cursor() as cursor:
        if connection.in_atomic_block:
            # CONCURRENTLY is refused inside a transaction.
            cursor.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(parent, child))
            return
        try:
            cursor.execute(
                sql.SQL("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY").format(parent, child)
            )
        except OperationalError as error:
            if not isinstance(error.__cause__, pg.ObjectNotInPrerequisiteState):
                raise
            # An earlier concurrent detach was interrupted half-way.
            cursor.execute(
                sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(parent, child)
            )
