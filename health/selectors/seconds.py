"""Seconds by state over stretches of time, from the sums of hours, and of minutes where an hour is
cut or not summed up yet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import DateTimeField, Min, Value
from django.db.models.functions import Coalesce

from health.domain.availability import COLUMNS, Seconds, total
from health.models import CheckStatus
from health.selectors.timelines import WantedService, service_segments

HOUR: Final = timedelta(hours=1)
# Minutes are read in place of hours that are not summed up, or to be summed up again, back to here;
# before it, hours are taken as they are.
_PENDING: Final = timedelta(hours=26)

Key = TypeVar("Key", UUID, str)

_SUMS: Final = ", ".join(f"sum({column}::float8)" for column in COLUMNS)
_COLUMNS: Final = ", ".join(COLUMNS)

_CHECK_BANDS: Final = f"""
WITH k AS MATERIALIZED (
    SELECT check_id, LEAST(
        GREATEST(COALESCE(hours_from, %(first)s), %(trusted)s), %(last_hour)s
    ) AS hours_to
    FROM health_checkstatus WHERE check_id = ANY(%(ids)s)
)
SELECT check_id, width_bucket(at, %(bounds)s::timestamptz[]) AS band, {_SUMS} FROM (
    SELECT h.check_id, h.hour AS at, {_COLUMNS} FROM k
    JOIN health_checkhour h ON h.check_id = k.check_id AND h.hour < k.hours_to
    WHERE h.hour >= %(first)s AND h.hour < %(last_hour)s AND h.hour <> ALL(%(cut)s::timestamptz[])
    UNION ALL
    SELECT m.check_id, m.minute, {_COLUMNS} FROM k
    JOIN health_checkminute m ON m.check_id = k.check_id AND m.minute >= k.hours_to
    WHERE m.minute >= %(trusted)s AND m.minute < %(until)s
    UNION ALL
    SELECT m.check_id, m.minute, {_COLUMNS} FROM k CROSS JOIN unnest(%(cut)s::timestamptz[]) AS c (hour)
    JOIN health_checkminute m ON m.check_id = k.check_id
        AND m.minute >= c.hour AND m.minute < LEAST(c.hour + interval '1 hour', k.hours_to)
) rows WHERE at >= %(first)s GROUP BY 1, 2
"""

_SERVICE_BANDS: Final = f"""
SELECT service, width_bucket(hour, %(bounds)s::timestamptz[]) AS band, {_SUMS}
FROM unnest(%(names)s::text[], %(hours_to)s::timestamptz[]) AS k (name, hours_to)
JOIN health_servicehour h ON h.service = k.name AND h.hour < k.hours_to
WHERE hour >= %(first)s AND hour < %(last_hour)s AND hour <> ALL(%(cut)s::timestamptz[])
GROUP BY 1, 2
"""


def check_bands(
    ids: Collection[UUID], bounds: Sequence[datetime], until: datetime
) -> dict[UUID, list[Seconds]]:
    """For each check the seconds from each of the ascending `bounds` to the next one, the last to
    `until`; one query. All are whole minutes; bounds older than minutes are kept, whole hours."""
    values = _Values(bounds, until).parameters | {"ids": list(ids)}
    return _by_key(_CHECK_BANDS, values, {key: len(bounds) for key in ids})


def service_bands(
    names: Collection[str], bounds: Sequence[datetime], until: datetime
) -> dict[str, list[Seconds]]:
    """The same of services: at each moment one is in the state of its worst critical check. A
    constant number of queries; those without critical checks have no seconds but those they had."""
    values = _Values(bounds, until)
    lowest = (
        CheckStatus.objects.filter(
            check_row__critical=True, check_row__service__name__in=list(names)
        )
        .order_by()
        .values_list("check_row__service__name")
        .annotate(
            lowest=Min(Coalesce("hours_from", Value(bounds[0], output_field=DateTimeField())))
        )
    )
    hours_to = dict.fromkeys(names, values.last_hour)
    for name, hours_from in lowest:
        hours_to[str(name)] = min(values.last_hour, max(hours_from, values.trusted))
    found = _by_key(
        _SERVICE_BANDS,
        values.parameters | {"names": list(hours_to), "hours_to": list(hours_to.values())},
        {key: len(bounds) for key in names},
    )
    # What hours do not tell is worked out from the changes themselves.
    for hour in values.cut:
        # A cut hour that is not summed up belongs to the time after the hours.
        ends = {name: min(hour + HOUR, hours_to[name]) for name in names}
        _add_worst(found, dict.fromkeys(names, hour), ends, bounds)
    _add_worst(found, hours_to, dict.fromkeys(names, until), bounds)
    return found


def _add_worst(
    found: dict[str, list[Seconds]],
    starts: Mapping[str, datetime],
    ends: Mapping[str, datetime],
    bounds: Sequence[datetime],
) -> None:
    """Add what each service went through from its start to its end to the bands of that time."""
    wanted = [
        WantedService(name, max(start, bounds[0]), ends[name])
        for name, start in starts.items()
        if max(start, bounds[0]) < ends[name]
    ]
    for name, segments in service_segments(wanted).items():
        for segment in segments:
            band = bisect_right(bounds, segment.start) - 1
            at = segment.start
            while at < segment.end:
                following = bounds[band + 1] if band + 1 < len(bounds) else segment.end
                end = min(segment.end, following)
                added = Seconds(**{segment.column: (end - at).total_seconds()})
                found[name][band] = total([found[name][band], added])
                at, band = end, band + 1


class _Values:
    """The bounds that the queries share."""

    def __init__(self, bounds: Sequence[datetime], until: datetime) -> None:
        first = bounds[0]
        self.last_hour = _hour_of(until)
        self.trusted = max(first, _hour_of(until - _PENDING))
        # Hours in the middle of which a band begins.
        self.cut = sorted({_hour_of(each) for each in bounds if each != _hour_of(each)})
        self.parameters: dict[str, Any] = {
            "bounds": list(bounds),
            "first": first,
            "trusted": self.trusted,
            "last_hour": self.last_hour,
            "cut": self.cut,
            "until": until,
        }


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _by_key(
    query: str, parameters: dict[str, Any], keys: Mapping[Key, int]
) -> dict[Key, list[Seconds]]:
    found = {key: [Seconds()] * bands for key, bands in keys.items()}
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        for key, band, *seconds in cursor.fetchall():
            found[key][band - 1] = Seconds(*seconds)
    return found
