"""What was counted in each minute, as rules read it, and what of it came late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection

from alerting.domain.rules.conditions import FigureCondition
from alerting.domain.rules.known import KnownWindows, LatePart, LateParts, Longest
from alerting.domain.rules.windows import Sums
from analytics.choices import LateKind

_CALLS: Final = """
SELECT service, minute, NULL::timestamptz, sum(calls)::bigint, sum(errors)::bigint,
    max(duration_max_ns)::bigint, array_agg(buckets::text), max(prompt_max_ns)::bigint
FROM analytics_callrollup
WHERE operation = '' AND minute >= %(since)s AND minute < %(until)s
    AND (%(services)s::text[] = '{}' OR service = ANY(%(services)s))
GROUP BY 1, 2
"""
_ERRORS: Final = """
SELECT service, minute, NULL::timestamptz, 0, sum(errors)::bigint, 0, NULL::text[], NULL::bigint
FROM analytics_errorrollup
WHERE minute >= %(since)s AND minute < %(until)s
    AND (%(services)s::text[] = '{}' OR service = ANY(%(services)s))
GROUP BY 1, 2
"""
# Read by the same statement, so that nothing comes between the figures and what of them came late.
_LATE: Final = """
UNION ALL SELECT service, minute, known_from, calls, errors, longest_ns, ARRAY[buckets::text], NULL
FROM analytics_latefigure
WHERE minute >= %(since)s AND minute < %(until)s AND known_from > %(after)s AND kind = %(kind)s
    AND (%(services)s::text[] = '{}' OR service = ANY(%(services)s))
"""
_CHAINS: Final = """
SELECT service, minute, NULL::timestamptz, sum(chains)::bigint, 0, 0, NULL::text[], NULL::bigint
FROM analytics_chainonset
WHERE minute >= %(since)s AND minute < %(until)s
    AND (%(services)s::text[] = '{}' OR service = ANY(%(services)s))
GROUP BY 1, 2
UNION ALL SELECT service, minute, known_from, sum(chains)::bigint, 0, 0, NULL, NULL
FROM analytics_chainonset
WHERE minute >= %(since)s AND minute < %(until)s AND known_from > %(after)s
    AND known_from > minute + interval '1 minute'
    AND (%(services)s::text[] = '{}' OR service = ANY(%(services)s))
GROUP BY 1, 2, 3
"""
# The whole site has no name.
SITE: Final = ""


class _Row(NamedTuple):
    service: str
    minute: datetime
    # Of what came late: the first end that knows of it.
    known_from: datetime | None
    calls: int
    errors: int
    longest_ns: int
    buckets: list[str] | None
    # The longest of the calls that came in time, where others came late.
    prompt_ns: int | None


@dataclass
class CountedMinutes:
    """What was counted in each minute, by service; of the whole site under no name.

    What came late and was not known at the end `after` yet is kept apart as well.
    """

    condition: FigureCondition
    after: datetime
    minutes: defaultdict[str, dict[datetime, Sums]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    longest: defaultdict[str, dict[datetime, list[Longest]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    late: dict[tuple[str, datetime, datetime], LatePart] = field(default_factory=dict)

    def read(self, since: datetime, until: datetime) -> None:
        """Take up the minutes of a range; those that were taken up before are replaced."""
        rows = self._rows(since, until)
        fresh: defaultdict[str, dict[datetime, Sums]] = defaultdict(dict)
        if self.condition.each == "site":
            # Where nothing came the figures are 0, and can be too low.
            fresh[SITE] = {}
        for row in rows:
            sums = self._sums(row)
            if row.known_from is not None:
                key = row.service, row.minute, row.known_from
                self.late[key] = LatePart(*key, sums)
                continue
            known = fresh[self._name(row.service)].get(row.minute)
            fresh[self._name(row.service)][row.minute] = sums if known is None else known + sums
        for name, of in fresh.items():
            self.minutes[name] |= of
        self._longest_note([row for row in rows if row.known_from is None])

    def windows(self, width: timedelta, ends: Sequence[datetime]) -> dict[str, KnownWindows]:
        """The windows of each service over all that was taken up."""
        late: defaultdict[str, list[LatePart]] = defaultdict(list)
        for part in sorted(self.late.values(), key=lambda each: each.minute):
            # Minutes go before what came late to them.
            if part.minute in self.minutes[self._name(part.service)]:
                late[self._name(part.service)].append(part)
        return {
            name: KnownWindows(of, width, LateParts(late[name], self.longest[name]), ends)
            for name, of in self.minutes.items()
        }

    def _rows(self, since: datetime, until: datetime) -> list[_Row]:
        metric = self.condition.metric
        parameters: dict[str, Any] = {
            "since": since, "until": until, "services": self.condition.services,
            # Of the longest calls all must be known that came to a minute: none is taken away.
            "after": since if metric == "latency_p95" else self.after,
            "kind": LateKind.ERRORS if metric == "errors" else LateKind.CALLS,
        }  # fmt: skip
        if metric == "chains":
            statement = _CHAINS
        else:
            statement = (_ERRORS if metric == "errors" else _CALLS) + _LATE
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [_Row(*row) for row in cursor.fetchall()]

    def _sums(self, row: _Row) -> Sums:
        of_buckets = self.condition.metric == "latency_p95"
        return Sums(
            row.calls,
            row.errors,
            row.longest_ns,
            _buckets(row.buckets or []) if of_buckets else (),
            {row.service: row.calls or row.errors},
        )

    def _name(self, service: str) -> str:
        return SITE if self.condition.each == "site" else service

    def _longest_note(self, rows: Iterable[_Row]) -> None:
        """Of minutes that something came late to, what the longest call of each service was."""
        marked = {(self._name(r.service), r.minute) for r in rows if r.prompt_ns is not None}
        for name, minute in marked:
            self.longest[name][minute] = []
        for row in rows if marked else ():
            name = self._name(row.service)
            if (name, row.minute) in marked:
                prompt = row.longest_ns if row.prompt_ns is None else row.prompt_ns
                self.longest[name][row.minute].append(Longest(row.service, row.longest_ns, prompt))


def _buckets(texts: list[str]) -> tuple[int, ...]:
    kinds = [[int(count) for count in text[1:-1].split(",")] for text in texts]
    return tuple(sum(column) for column in zip(*kinds, strict=True))
