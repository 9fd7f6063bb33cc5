"""Services that fall silent while others go on.

The journal's topic services (key and service: the service) tells `service.silent`, with `last_heard`
and in how many `minutes` of the hour before it something came, and `service.heard`, with the
`seconds` that the silence lasted.

A service that is heard now and then is not silent between: it must have been heard in most minutes
of the hour before. Where others were silent as well, it is this site that hears nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from analytics.models import ServiceSilence
from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

SILENT_AFTER: Final = timedelta(minutes=15)
# Of the 60 minutes before the last sign of it.
STEADY_MINUTES: Final = 45
# Of the minutes since then, the share in which something of others must have come.
OTHERS_SHARE: Final = 0.8
# After which a service that is silent counts as gone for good.
FORGET_AFTER: Final = timedelta(days=2)
# A turn that was missed is made up for; later on it is no news.
_LATEST: Final = timedelta(minutes=30)
_LOCK: Final = 0x73696C65

_BACK: Final = """
DELETE FROM analytics_servicesilence AS s USING health_service AS h
WHERE h.name = s.service AND h.last_seen > s.last_heard RETURNING s.service, s.last_heard, h.last_seen
"""
_STOPPED: Final = """
SELECT h.name, h.last_seen FROM health_service AS h
WHERE h.last_seen <= %(before)s AND h.last_seen > %(after)s
    AND NOT EXISTS (SELECT FROM analytics_servicesilence AS s WHERE s.service = h.name)
    AND EXISTS (SELECT FROM health_service AS o WHERE o.last_seen > %(recent)s)
ORDER BY h.name
"""
# In which minutes something was counted of the service, whatever it was.
_STEADY: Final = """
SELECT count(*) FROM (
    SELECT minute FROM analytics_callrollup
        WHERE service = %(service)s AND minute >= %(since)s AND minute < %(until)s
    UNION SELECT minute FROM analytics_logrollup
        WHERE service = %(service)s AND minute >= %(since)s AND minute < %(until)s
    UNION SELECT minute FROM analytics_errorrollup
        WHERE service = %(service)s AND minute >= %(since)s AND minute < %(until)s
    UNION SELECT minute FROM analytics_metricrollup
        WHERE minute >= %(since)s AND minute < %(until)s AND series_id IN (
            SELECT id FROM analytics_metricseries WHERE service = %(service)s)
) AS heard
"""
_OTHERS: Final = """
SELECT count(*) FROM (
    SELECT minute FROM analytics_callrollup
        WHERE service <> %(service)s AND minute >= %(since)s AND minute < %(until)s
    UNION SELECT minute FROM analytics_logrollup
        WHERE service <> %(service)s AND minute >= %(since)s AND minute < %(until)s
    UNION SELECT m.minute FROM analytics_metricrollup AS m
        JOIN analytics_metricseries AS s ON s.id = m.series_id
        WHERE s.service <> %(service)s AND m.minute >= %(since)s AND m.minute < %(until)s
) AS heard
"""


def silences_watch(*, now: datetime) -> int:
    """Tell of services that fell silent and of those that are heard again; how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return 0
        entries = [*_back(), *_silent(now)]
        ServiceSilence.objects.filter(last_heard__lt=now - FORGET_AFTER).delete()
        journal.append(entries)
    return len(entries)


def _back() -> list[Entry]:
    with connection.cursor() as cursor:
        cursor.execute(_BACK)
        return [
            _entry("service.heard", service, {"seconds": (heard - last).total_seconds()})
            for service, last, heard in sorted(cursor.fetchall())
        ]


def _silent(now: datetime) -> list[Entry]:
    moments = {
        "before": now - SILENT_AFTER,
        "after": now - SILENT_AFTER - _LATEST,
        "recent": now - timedelta(minutes=1),
    }
    with connection.cursor() as cursor:
        cursor.execute(_STOPPED, moments)
        stopped = cursor.fetchall()
    entries = []
    for service, last in stopped:
        minutes = _minutes(_STEADY, service, last - timedelta(hours=1), last)
        needed = OTHERS_SHARE * ((now - last) // timedelta(minutes=1))
        if minutes < STEADY_MINUTES or _minutes(_OTHERS, service, last, now) < needed:
            continue
        ServiceSilence.objects.create(service=service, last_heard=last, told_at=now)
        said = {"last_heard": last.isoformat(), "minutes": minutes}
        entries.append(_entry("service.silent", service, said))
    return entries


def _minutes(statement: str, service: str, since: datetime, until: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"service": service, "since": since, "until": until})
        return int(cursor.fetchone()[0])


def _entry(kind: str, service: str, payload: dict[str, Any]) -> Entry:
    return Entry(Topic.SERVICES, kind, service, service=service, payload=payload)
