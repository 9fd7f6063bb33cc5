"""Cursor pagination: a page starts after the sort key of the last row of the page before it.

New rows never shift a page, and page 1,000 costs what page 1 costs. Cursors are opaque but not
signed: they hold sort keys alone, so a forged one reveals nothing that a filter would not.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import orjson
from django.db.models import Model, Q, QuerySet
from ninja import Field, Schema

from resilience_site.core.problems import Malformed

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
_MAX_CURSOR_LENGTH: Final = 2048
_BIGINT: Final = range(-(2**63), 2**63)

Row = TypeVar("Row")
Record = TypeVar("Record", bound=Model)
Key = str | int | float | datetime | UUID


class PageQuery(Schema):
    """The two parameters of every list."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Rows in the answer")
    cursor: str | None = Field(None, description="`next_cursor` of the page before")


class RangeQuery(PageQuery):
    """A page of a time range; both ends may be relative (`24h`, `now-1h`)."""

    since: str | None = None
    until: str | None = None


class PageOut(Schema, Generic[Row]):
    """The answer of every list; `next_cursor` is null on the last page."""

    items: list[Row]
    next_cursor: str | None


@dataclass(frozen=True)
class Page:
    """Rows and the cursor of the page after them, None on the last one."""

    items: list[Any]
    next_cursor: str | None


def encode_cursor(key: Sequence[Key]) -> str:
    """The cursor of the row with this sort key."""
    return base64.urlsafe_b64encode(orjson.dumps(list(key))).rstrip(b"=").decode()


def decode_cursor(cursor: str, types: Sequence[type]) -> tuple[Any, ...]:
    """The sort key in `cursor`, whose parts must be of `types`. Raises `Malformed` when tampered."""
    try:
        if len(cursor) > _MAX_CURSOR_LENGTH:
            raise ValueError("too long")
        raw = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
        parts = orjson.loads(raw)
        if not isinstance(parts, list):
            raise ValueError("not a list")
        return tuple(_part(part, kind) for part, kind in zip(parts, types, strict=True))
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise Malformed(
            "The cursor is not one that this list gave out; start again without it."
        ) from None


def _part(part: Any, kind: type) -> Any:
    if kind is datetime and isinstance(part, str):
        moment = datetime.fromisoformat(part)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.astimezone(UTC)
    if kind is UUID and isinstance(part, str):
        return UUID(part)
    if kind is float and type(part) in (int, float):
        return float(part)
    if type(part) is not kind:
        raise ValueError("wrong type")
    # What PostgreSQL cannot hold is not a key of ours either.
    if (type(part) is int and part not in _BIGINT) or (type(part) is str and "\0" in part):
        raise ValueError("out of range")
    return part


def keyset_page(
    rows: QuerySet[Record],
    *,
    by: Sequence[str],
    types: Sequence[type],
    cursor: str | None,
    limit: int = DEFAULT_LIMIT,
) -> Page:
    """One page of `rows` ordered by the fields `by`, as in `order_by` (`-at`, `-id`).

    Together the fields must be unique, and all run in the same direction. Raises `Malformed`.
    """
    if cursor:
        rows = rows.filter(_after(by, decode_cursor(cursor, types)))
    found = list(rows.order_by(*by)[: limit + 1])
    if len(found) <= limit:
        return Page(found, None)
    last = found[limit - 1]
    return Page(found[:limit], encode_cursor([getattr(last, f.lstrip("-")) for f in by]))


def _after(by: Sequence[str], key: Sequence[Any]) -> Q:
    """Rows behind `key`: `a < x or (a = x and (b < y or …))`, bounded on the first field.

    The outer bound repeats what the rest implies; it lets the planner prune partitions.
    """
    behind = Q()
    for name, value in reversed(list(zip(by, key, strict=True))):
        field, step = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        tie = Q(**{field: value}) & behind if behind else Q(pk__in=[])
        behind = Q(**{f"{field}__{step}": value}) | tie
    first, step = by[0].lstrip("-"), "lte" if by[0].startswith("-") else "gte"
    return Q(**{f"{first}__{step}": key[0]}) & behind
