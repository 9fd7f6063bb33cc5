"""Collecting signs and failures, minute by minute, from figures and from the journal.

Both readers go on where they stopped (`ReadCursor`), in the transaction of what they write: run
twice, or by two workers, they count nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from analytics.choices import FailureKind, PredictionOutcome
from analytics.domain.foresight.signs import ANOMALY, BURN, CHECKS, ERRORS, kind_of
from analytics.domain.slos.burning import Windows, held_rows
from analytics.domain.slos.objectives import TABLE, Objective
from analytics.models import ObservedFailure, Prediction, ReadCursor
from analytics.selectors.slos import burn_windows, slos_enabled
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Recorded

SignKey = tuple[str, datetime, str]

# How long signs, failures and predictions are kept and learnt from.
HISTORY: Final = timedelta(days=90)
_JOURNAL: Final = "signs-journal"
_MINUTES: Final = "signs-minutes"
_BATCH: Final = 1_000
_MOST_BATCHES: Final = 50
_MINUTE: Final = timedelta(minutes=1)
# Figures of a minute still change while its telemetry arrives.
_AGAIN: Final = timedelta(minutes=2)
_FURTHEST_BACK: Final = timedelta(hours=6)
_MOST_MINUTES: Final = 60
# An objective is breached while the most urgent row of its burn rates holds; at this many times
# that rate over 5 minutes, that is half an hour away.
_FAST: Final = 2
_BREACH: Final = TABLE[0]
# A failure of the same subject within this time is the same failure.
SAME_FAILURE: Final = timedelta(minutes=5)
_SAME_BREACH: Final = timedelta(hours=1)

_ADD: Final = """
INSERT INTO analytics_sign AS s (service, minute, kind, count)
SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::integer[])
ON CONFLICT ON CONSTRAINT sign_once DO UPDATE SET count = {}
"""
_ERRORS: Final = """
SELECT r.service, r.minute, p.type, sum(r.errors)::bigint
FROM analytics_errorrollup r JOIN analytics_errorpattern p ON p.id = r.pattern_id
WHERE r.minute >= %s AND r.minute < %s GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class Failed:
    """A failure of a service: which of its subjects, in which way, when."""

    service: str
    kind: FailureKind
    subject: str
    at: datetime


def signs_add(counts: Mapping[SignKey, int], *, instead: bool = False) -> None:
    """Add to what is counted, or put the counts `instead` of it. In the order of keys, as other
    writers do."""
    rows = [(*key, count) for key, count in sorted(counts.items())]
    if rows:
        value = "excluded.count" if instead else "s.count + excluded.count"
        with connection.cursor() as cursor:
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(_ADD.format(value), columns)


def signs_collect(*, now: datetime) -> int:
    """Read what is new in the journal and in the minutes that are over; how many signs it were."""
    if not (config.predictive_failure_detection and config.error_analytics_enabled):
        return 0
    return _journal_read() + _minutes_read(now)


# --- The journal ---------------------------------------------------------------------------------


def _journal_read() -> int:
    # From the oldest entry that is kept: a site learns from what it has.
    ReadCursor.objects.get_or_create(reader=_JOURNAL)
    found = 0
    for _ in range(_MOST_BATCHES):
        with transaction.atomic():
            reader = _held(_JOURNAL)
            if reader is None:
                return found
            topics = [Topic.HEALTH, Topic.BREAKERS, Topic.ANOMALIES]
            newest = journal.latest_cursor()
            entries = journal.read(reader.position, topics, _BATCH)
            more = len(entries) == _BATCH
            # Past the entries of other topics too, or all of them would be read again each time.
            position = entries[-1].id if more else max(newest, *(each.id for each in entries), 0)
            if position <= reader.position:
                return found
            reader.position = position
            reader.save(update_fields=["position"])
            counts: Counter[SignKey] = Counter()
            for entry in entries:
                kind = _sign_of(entry)
                if kind is not None and entry.service:
                    counts[(entry.service, _minute(entry.at), kind)] += 1
            signs_add(counts)
            failures_add([each for each in map(_failure_of, entries) if each is not None])
        found += len(counts)
        if not more:
            break
    return found


def _sign_of(entry: Recorded) -> str | None:
    if entry.topic == Topic.HEALTH and entry.kind == "state_changed":
        return kind_of(CHECKS, entry.state)
    if entry.topic == Topic.ANOMALIES and entry.kind == "anomaly_started":
        return kind_of(ANOMALY, str(entry.payload.get("metric", "")))
    return None


def _failure_of(entry: Recorded) -> Failed | None:
    """Announced outages, and breakers that opened; one that opens again from half open had not
    closed, so nothing new failed."""
    payload = entry.payload
    if entry.topic == Topic.HEALTH and entry.kind == "failure_confirmed":
        at = datetime.fromisoformat(payload["since"])
        return Failed(entry.service, FailureKind.HEALTH_DOWN, payload["check"]["name"], at)
    opened = entry.kind == "breaker.transition" and entry.state == "open"
    if entry.topic == Topic.BREAKERS and opened and payload.get("from_state") == "closed":
        return Failed(entry.service, FailureKind.BREAKER_OPEN, payload["name"], entry.at)
    return None


def failures_add(failures: Iterable[Failed], *, same: timedelta = SAME_FAILURE) -> int:
    """Keep failures that are not the continuation of one that is known; how many. Each says
    whether a prediction was pending when it began."""
    added = 0
    for failed in sorted(failures, key=lambda each: each.at):
        alike = ObservedFailure.objects.filter(
            service=failed.service,
            kind=failed.kind,
            subject=failed.subject,
            at__gt=failed.at - same,
            at__lt=failed.at + same,
        )
        if alike.exists():
            continue
        foreseen = Prediction.objects.filter(
            service=failed.service,
            kind=failed.kind,
            made_at__lt=failed.at,
            due_at__gte=failed.at,
        ).exclude(outcome=PredictionOutcome.MISS)
        ObservedFailure.objects.create(
            service=failed.service,
            kind=failed.kind,
            subject=failed.subject,
            at=failed.at,
            foreseen=foreseen.exists(),
        )
        added += 1
    return added


# --- Minutes -------------------------------------------------------------------------------------


def _minutes_read(now: datetime) -> int:
    end = _minute(now)
    ReadCursor.objects.get_or_create(reader=_MINUTES, defaults={"through": end - _AGAIN})
    with transaction.atomic():
        reader = _held(_MINUTES)
        if reader is None or reader.through is None:
            return 0
        since = max(reader.through - _AGAIN, end - _FURTHEST_BACK)
        until = min(end, since + _MOST_MINUTES * _MINUTE)
        if until <= reader.through:
            return 0
        counts = _error_signs(since, until)
        burning, breaches = _burns(since, until)
        counts.update(dict.fromkeys(burning, 1))
        signs_add(counts, instead=True)
        failures_add(breaches, same=_SAME_BREACH)
        reader.through = until
        reader.save(update_fields=["through"])
    return len(counts)


def _error_signs(since: datetime, until: datetime) -> dict[SignKey, int]:
    counts: Counter[SignKey] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(_ERRORS, [since, until])
        for service, minute, kind, errors in cursor.fetchall():
            counts[(service, minute, kind_of(ERRORS, kind))] += errors
    return dict(counts)


def _burns(since: datetime, until: datetime) -> tuple[set[SignKey], list[Failed]]:
    """In which minutes which services' budgets burn fast, and the objectives that are breached from
    some minute on. With too little that is bad, by the guard of an objective, neither."""
    slos = slos_enabled()
    minutes = [since + number * _MINUTE for number in range((until - since) // _MINUTE)]
    # One more before, to tell what was breached already.
    found = burn_windows(slos, [since, *(minute + _MINUTE for minute in minutes)])
    burning: set[SignKey] = set()
    breaches: list[Failed] = []
    for slo in slos:
        terms, (before, *windows) = slo.terms, found[slo.id]
        breached = _BREACH in held_rows(terms, before)
        for minute, each in zip(minutes, windows, strict=True):
            if _fast(terms, each):
                burning.add((slo.service, minute, BURN))
            was, breached = breached, _BREACH in held_rows(terms, each)
            if breached and not was:
                breaches.append(Failed(slo.service, FailureKind.SLO_BREACH, slo.kind, each.at))
    return burning, breaches


def _fast(terms: Objective, windows: Windows) -> bool:
    enough = windows.of(_BREACH.long).bad >= max(1, terms.min_bad) * terms.scale
    rate = _FAST * _BREACH.rate_parts(terms.window_days)
    return enough and terms.burns_at(rate, windows.of(_BREACH.short))


def _held(reader: str) -> ReadCursor | None:
    """The cursor, held by this transaction; None where another worker holds it."""
    rows = ReadCursor.objects.select_for_update(skip_locked=True)
    return rows.filter(reader=reader).first()


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
