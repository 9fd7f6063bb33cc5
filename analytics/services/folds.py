"""Counting what came under names for which there was no room, and saying so."""

from __future__ import annotations

import logging
from datetime import date, datetime

from django.db import connection, transaction

from analytics.choices import NameKind
from analytics.domain.name_limits import NAME_LIMITS, shown_name
from analytics.domain.telemetry import Rejection
from analytics.selectors.name_limits import most_of

_MOST_REMEMBERED = 10_000
_log = logging.getLogger(__name__)
# The day on which this process last said that a service has its fill.
_said: dict[tuple[str, str], date] = {}


class Folds:
    """What one request brought beyond the limits of its services."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], int] = {}
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, kind: NameKind, service: str, example: str, items: int = 1) -> None:
        """Count what came under a name without room."""
        key = (service, str(kind))
        self._items[key] = self._items.get(key, 0) + items
        self._examples[key] = example

    def warnings(self) -> list[Rejection]:
        """What the sender is told; nothing of it was refused."""
        return [
            Rejection(0, _words(service, kind, items, self._examples[service, kind]))
            for (service, kind), items in sorted(self._items.items())
            # Whoever sends metrics is told how many series they are.
            if kind != NameKind.SERIES
        ]

    def write(self, at: datetime) -> None:
        """Add it to the table, inside the caller's transaction, and say it in the log."""
        if not self._items:
            return
        keys = sorted(self._items)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO analytics_foldedname AS t "
                "(service, kind, items, example, first_at, last_at) SELECT *, %s, %s "
                "FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) "
                "ON CONFLICT (service, kind) DO UPDATE SET items = t.items + excluded.items, "
                "example = excluded.example, last_at = GREATEST(t.last_at, excluded.last_at)",
                [
                    at, at,
                    [service for service, _ in keys],
                    [kind for _, kind in keys],
                    [self._items[key] for key in keys],
                    [shown_name(self._examples[key]) for key in keys],
                ],
            )  # fmt: skip
        transaction.on_commit(lambda: self._say(at.date()))

    def _say(self, today: date) -> None:
        _forget_before(today)
        for key in sorted(self._items):
            if _said.get(key) != today:
                _said[key] = today
                limit = NAME_LIMITS[key[1]]
                _log.warning(
                    'Service %s has %d %s, the most that are kept apart: further ones, such as %s, '
                    'are %s (%s).',
                    shown_name(key[0]), most_of(key[1]), limit.what, shown_name(self._examples[key]),
                    limit.effect, limit.variable,
                )  # fmt: skip


def _words(service: str, kind: str, items: int, example: str) -> str:
    limit = NAME_LIMITS[kind]
    return (
        f"{items} {limit.items} of service {service}, such as {shown_name(example)}, are beyond its "
        f"limit of {most_of(kind)} {limit.what} and were counted under {limit.kept_as}; "
        f"{limit.advice}"
    )


def _forget_before(today: date) -> None:
    """Those of today are as many as there are services, and stay: else they would be said again."""
    if len(_said) > _MOST_REMEMBERED:
        for key, day in list(_said.items()):
            if day < today:
                _said.pop(key, None)
