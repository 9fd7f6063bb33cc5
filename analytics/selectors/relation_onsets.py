"""When spells of patterns began: what relations between patterns are found from."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import connection

from resilience_site.core.timerange import TimeRange

RANGE = timedelta(hours=24)
# How long after the beginning of one spell that of another may come to be matched with it; so long
# without an error ends a spell.
WITHIN = timedelta(minutes=5)
# The patterns that began most often, and the beginnings in all.
MOST_PATTERNS = 300
MOST_ONSETS = 20_000

# The minute of a beginning from the figures per minute, its moment from the first error in it.
# Patterns that were put into another one count as that.
_ONSETS = """
WITH minutes AS (
    SELECT COALESCE(pattern.merged_into, rollup.pattern_id) AS shown, rollup.minute,
        rollup.pattern_id
    FROM analytics_errorrollup rollup
    JOIN analytics_errorpattern pattern ON pattern.id = rollup.pattern_id
    WHERE rollup.minute >= %(since)s AND rollup.minute < %(until)s
), spells AS (
    SELECT shown, minute, pattern_id,
        lag(minute) OVER (PARTITION BY shown ORDER BY minute) AS earlier
    FROM minutes
), onsets AS (
    SELECT shown, minute, pattern_id FROM spells
    WHERE earlier IS NULL AND minute > %(since)s + %(silence)s::interval
        OR minute - earlier > %(silence)s::interval
), often AS (
    SELECT shown FROM onsets GROUP BY shown HAVING count(*) >= %(least)s
    ORDER BY count(*) DESC, shown LIMIT %(patterns)s
)
SELECT onsets.shown, extract(epoch FROM COALESCE(first.at, onsets.minute))::float
FROM onsets JOIN often USING (shown)
LEFT JOIN LATERAL (
    SELECT min(occurred_at) AS at FROM analytics_errorevent
    WHERE pattern_id = onsets.pattern_id AND occurred_at >= onsets.minute
        AND occurred_at < onsets.minute + interval '1 minute'
        AND occurred_at >= %(since)s AND occurred_at < %(until)s
) first ON true
ORDER BY onsets.minute DESC LIMIT %(onsets)s
"""


def onsets_read(
    within: TimeRange, *, least: int = 3, silence: timedelta = WITHIN
) -> tuple[dict[UUID, list[float]], dict[UUID, str]]:
    """The beginnings of the spells of each pattern in a range, as Unix times, and its service.

    Only of patterns with at least `least` of them. What may have begun before the range is left
    out.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _ONSETS,
            {
                "since": within.since,
                "until": within.until,
                "silence": str(silence),
                "least": least,
                "patterns": MOST_PATTERNS,
                "onsets": MOST_ONSETS,
            },
        )
        onsets: dict[UUID, list[float]] = {}
        for pattern, moment in cursor.fetchall():
            onsets.setdefault(pattern, []).append(moment)
        cursor.execute(
            "SELECT id, service FROM analytics_errorpattern WHERE id = ANY(%s)", [list(onsets)]
        )
        return onsets, dict(cursor.fetchall())
