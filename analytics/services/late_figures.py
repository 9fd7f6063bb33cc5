"""Keeping apart what comes later than the end of its minute is judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from django.db import connection

from analytics.choices import LateKind
from analytics.domain.known import minute_number

_T = TypeVar("_T")
Key = TypeVar("Key", bound="tuple[int, *tuple[Any, ...]]")

# Two batches that are late at the same time add to the same rows, in the order of keys.
_UPSERT: Final = """
INSERT INTO analytics_latefigure AS t
    (known_from, kind, minute, service, calls, errors, longest_ns, buckets)
SELECT %s, %s, minute, service, calls, errors, longest_ns, buckets::integer[]
FROM unnest(%s::timestamptz[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
    AS rows (minute, service, calls, errors, longest_ns, buckets)
ON CONFLICT (known_from, service, minute, kind) DO UPDATE SET
    calls = t.calls + excluded.calls,
    errors = t.errors + excluded.errors,
    longest_ns = GREATEST(t.longest_ns, excluded.longest_ns),
    buckets = CASE WHEN excluded.kind = 'calls'
        THEN analytics_add_buckets(t.buckets, excluded.buckets) ELSE t.buckets END
"""


def parted(figures: dict[Key, _T], known: datetime | None) -> tuple[dict[Key, _T], dict[Key, _T]]:
    """Figures by keys that begin with the number of a minute: those that are not known at the end
    of their minute, and the others. Without a moment all count as timely."""
    if known is None or not figures:
        return {}, figures
    first = minute_number(known) - 1
    if min(figures)[0] >= first:
        return {}, figures
    late = {key: value for key, value in figures.items() if key[0] < first}
    return late, {key: value for key, value in figures.items() if key[0] >= first}


def late_calls_write(
    totals: Mapping[tuple[int, str], tuple[int, int, int, int, str]], known: datetime
) -> None:
    """Keep the late calls of services: by minute and service what a row of the rollup is made of."""
    rows = [(*key, calls, errors, longest, buckets)
            for key, (calls, errors, _, longest, buckets) in sorted(totals.items())]  # fmt: skip
    _write(LateKind.CALLS, rows, known)


def late_errors_write(counts: Mapping[tuple[int, str, str], int], known: datetime) -> None:
    """Keep the late errors of services, whichever their pattern: what only moved is none."""
    summed: dict[tuple[int, str], int] = {}
    for (minute, service, _), count in counts.items():
        summed[minute, service] = summed.get((minute, service), 0) + count
    rows = [(*key, 0, count, 0, "{}") for key, count in sorted(summed.items()) if count]
    _write(LateKind.ERRORS, rows, known)


def _write(
    kind: LateKind, rows: list[tuple[int, str, int, int, int, str]], known: datetime
) -> None:
    if not rows:
        return
    minutes, *others = (list(column) for column in zip(*rows, strict=True))
    starts = [datetime.fromtimestamp(minute * 60, UTC) for minute in minutes]
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, [known, str(kind), starts, *others])
