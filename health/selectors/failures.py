"""How many failures services had in the steps of a long range, and how long their repair took.

Put together and counted by the database, as a quarter of a year of a fleet has tens of thousands of
outages. They are kept for longer than any range reaches back, so that no sums of theirs are needed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from health.domain.reliability import DEFAULT, FailurePolicy

# As `joined` of the domain does: outages of a service that overlap or touch are one failure.
_COUNTED: Final = """
WITH outages AS (
    SELECT c.service, o.started_at AS began, coalesce(o.ended_at, 'infinity') AS over
    FROM health_outage o JOIN health_check c ON c.id = o.check_id
    WHERE c.critical AND c.service = ANY(%(names)s) AND o.held_by <> ALL(%(left_out)s)
        AND (o.ended_at IS NULL OR o.ended_at >= %(since)s) AND o.started_at < %(until)s
), parted AS (
    SELECT *, coalesce(began > max(over) OVER (
        PARTITION BY service ORDER BY began, over ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), true) AS first FROM outages
), numbered AS (
    SELECT *, count(*) FILTER (WHERE first) OVER (
        PARTITION BY service ORDER BY began, over ROWS UNBOUNDED PRECEDING
    ) AS number FROM parted
), failures AS (
    SELECT min(began) AS began, max(over) AS over FROM numbered GROUP BY service, number
), marks AS (
    SELECT began AS at, 1 AS failures, 0 AS repaired, 0::float8 AS seconds FROM failures
    UNION ALL
    SELECT over, 0, 1, greatest(extract(epoch FROM over - began), 0) FROM failures
    WHERE over < 'infinity'
)
SELECT date_bin(%(step)s::interval, at, %(since)s), sum(failures), sum(repaired), sum(seconds)
FROM marks WHERE at >= %(since)s AND at < %(until)s GROUP BY 1
"""


@dataclass(frozen=True)
class StepFailures:
    """Failures that began in a step; those that were repaired in it, and after how many seconds
    each on average."""

    failures: int
    repaired: int
    mttr: float | None


NONE: Final = StepFailures(0, 0, None)


def failures_by_step(
    names: Collection[str],
    since: datetime,
    until: datetime,
    step: timedelta,
    policy: FailurePolicy = DEFAULT,
) -> dict[datetime, StepFailures]:
    """The failures of these services by the critical checks of each, by the start of the step from
    `since` on; steps without any are left out. Those of several services are several."""
    values: dict[str, Any] = {
        "names": list(names), "left_out": sorted(policy.left_out), "since": since, "until": until,
        "step": step,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED, values)
        return {
            at: StepFailures(began, repaired, seconds / repaired if repaired else None)
            for at, began, repaired, seconds in cursor.fetchall()
        }
