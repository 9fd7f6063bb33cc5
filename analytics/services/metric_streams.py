"""The last cumulative point of each writer, which the next one is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

import orjson
from django.db import connection

from analytics.choices import NameKind
from analytics.domain.streams import Total
from analytics.domain.telemetry import Resource
from analytics.selectors.name_limits import most_of

_LOCK_CLASS = 0x6D657472
_MAX_NS = 2**63 - 1
# A service of which totals are refused sends thousands of them: they are not counted each time.
_TAKEN_FOR_GRANTED = timedelta(seconds=30)
_MOST_REMEMBERED = 10_000


class StreamKey(NamedTuple):
    """A series (32 hex digits) as one instance of its service writes it."""

    series_id: str
    writer: str


def writer_of(resource: Resource) -> str:
    """The instance that sent a point, or what else tells one process from another."""
    if resource.instance:
        return resource.instance
    data = orjson.dumps(resource.attributes, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
    return blake2b(data, digest_size=8).hexdigest()


def lock_services(services: Iterable[str]) -> None:
    """Let the metric batches of a service pass one by one, to the end of the transaction.

    What a point adds depends on the point before it, and distributions are merged here rather
    than in the database.
    """
    with connection.cursor() as cursor:
        for service in sorted(services):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK_CLASS, service])


def streams_load(keys: Iterable[StreamKey]) -> dict[StreamKey, Total]:
    """The last totals of the given streams, of those that have one."""
    wanted = list(keys)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT replace(s.series_id::text, '-', ''), s.writer, s.start_ns, s.time_ns, s.value, "
            "s.count, s.distribution::text FROM analytics_metricstream s "
            "JOIN unnest(%s::uuid[], %s::text[]) AS k (series_id, writer) "
            "ON s.series_id = k.series_id AND s.writer = k.writer",
            [[key.series_id for key in wanted], [key.writer for key in wanted]],
        )
        return {
            StreamKey(series_id, writer): Total(
                start_ns, time_ns, value, count, orjson.loads(document) if document else None
            )
            for series_id, writer, start_ns, time_ns, value, count, document in cursor.fetchall()
        }


def writers_known(writers: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Which (service, writer) of the given writers per service have sent totals before."""
    pairs = [(service, writer) for service, names in writers.items() for writer in names]
    if not pairs:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT k.service, k.writer FROM unnest(%s::text[], %s::text[]) AS k (service, writer) "
            "WHERE EXISTS (SELECT FROM analytics_metricstream s "
            "WHERE s.service = k.service AND s.writer = k.writer)",
            [[pair[0] for pair in pairs], [pair[1] for pair in pairs]],
        )
        return {(row[0], row[1]) for row in cursor.fetchall()}


class StreamRoom:
    """Which running totals of each service are kept: a bounded number, those that are there first.

    Its caller holds the lock of the services, so all processes together keep to the limit.
    """

    def __init__(self) -> None:
        # Services that had their fill, and until when that is taken for granted.
        self._full: dict[str, datetime] = {}

    def refused(self, new: Mapping[str, set[StreamKey]], at: datetime) -> set[StreamKey]:
        """Which of the new streams, given per service, find no room."""
        most = most_of(NameKind.STREAM)
        asked = [service for service in new if self._full.get(service, at) <= at]
        counts = self._counts(asked, most)
        if len(self._full) > _MOST_REMEMBERED:
            self._full.clear()
        refused: set[StreamKey] = set()
        for service, keys in new.items():
            room = max(0, most - counts[service]) if service in counts else 0
            refused.update(sorted(keys)[room:])
            if service in counts and not room:
                self._full[service] = at + _TAKEN_FOR_GRANTED
        return refused

    def _counts(self, services: Sequence[str], most: int) -> dict[str, int]:
        if not services:
            return {}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT k.service, (SELECT count(*) FROM (SELECT FROM analytics_metricstream s "
                "WHERE s.service = k.service LIMIT %s) AS rows) "
                "FROM unnest(%s::text[]) AS k (service)",
                [most, list(services)],
            )
            return dict(cursor.fetchall())


def streams_save(totals: Mapping[StreamKey, tuple[str, Total]], at: datetime) -> None:
    """Remember the newest totals, each with its service."""
    if not totals:
        return
    keys = sorted(totals)
    services = [totals[key][0] for key in keys]
    newest = [totals[key][1] for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO analytics_metricstream AS s (series_id, writer, service, start_ns, "
            "time_ns, value, count, distribution, updated_at) "
            "SELECT *, %s::timestamptz FROM unnest(%s::uuid[], %s::text[], %s::text[], "
            "%s::bigint[], %s::bigint[], %s::float8[], %s::bigint[], %s::jsonb[]) "
            "ON CONFLICT (series_id, writer) DO UPDATE SET start_ns = excluded.start_ns, "
            "time_ns = excluded.time_ns, value = excluded.value, count = excluded.count, "
            "distribution = excluded.distribution, updated_at = excluded.updated_at",
            [
                at,
                [key.series_id for key in keys],
                [key.writer for key in keys],
                services,
                [min(total.start_ns, _MAX_NS) for total in newest],
                [total.time_ns for total in newest],
                [total.value for total in newest],
                [total.observations for total in newest],
                [
                    orjson.dumps(total.distribution).decode() if total.distribution else None
                    for total in newest
                ],
            ],
        )
