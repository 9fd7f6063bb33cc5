"""The auditor: proves that every run that was due was looked at, and tells when not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from healing.choices import OPEN
from healing.models import DetectorCursor, HealingRun
from healing.services.runs.leases import LONGEST_WAIT
from resilience_site.core import journal
from resilience_site.core.choices import Topic

# Beyond the tick, what a full queue may take.
LATE: Final = timedelta(seconds=60)
_KEY: Final = "auditor"
_MOST_NAMES: Final = 5
_LAST: Final = """
SELECT kind FROM core_journalentry WHERE topic = 'healing' AND key = %s
AND kind IN ('audit.overdue', 'audit.well') ORDER BY id DESC LIMIT 1
"""


def runs_audit(now: datetime) -> list[UUID]:
    """The runs that were due a minute ago and that nobody has looked at. Tells when there are some
    or the failure detector stands still, and once that is over."""
    overdue = _overdue(now)
    words = "; ".join(each for each in (_runs_words(overdue, now), _detector_words(now)) if each)
    with transaction.atomic():
        told = _is_told()
        if words and not told:
            journal.append([_entry("audit.overdue", "overdue", words)])
        if told and not words:
            journal.append([_entry("audit.well", "well", "Every due healing run is looked at.")])
    return [run.pk for run in overdue]


def _overdue(now: datetime) -> list[HealingRun]:
    rows = HealingRun.objects.filter(state__in=OPEN, due_at__lt=now - LATE)
    # One whose worker died was looked at until its lease was over, however long it took.
    leased = {"lease_until__gte": now - LATE, "lease_until__lte": now + LONGEST_WAIT}
    return list(rows.exclude(**leased).order_by("due_at"))


def _unseen_since(run: HealingRun, now: datetime) -> datetime:
    due, leased = run.due_at or now, run.lease_until
    return max(due, leased) if leased is not None and leased <= now else due


def _runs_words(overdue: list[HealingRun], now: datetime) -> str:
    if not overdue:
        return ""
    waits = max((now - _unseen_since(run, now)).total_seconds() for run in overdue)
    named = ", ".join(f"{run.workflow} on {run.target}" for run in overdue[:_MOST_NAMES])
    were = "run was" if len(overdue) == 1 else "runs were"
    return f"{len(overdue)} due healing {were} not looked at for {waits:.0f} s: {named}"


def _detector_words(now: datetime) -> str:
    looks = DetectorCursor.objects.filter(looked_at__isnull=False)
    last = looks.order_by("-looked_at").values_list("looked_at", flat=True).first()
    if last is None or now - last <= LATE:
        return ""
    return f"the failure detector has not looked for {(now - last).total_seconds():.0f} s"


def _is_told() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_LAST, [_KEY])
        row = cursor.fetchone()
    return row is not None and row[0] == "audit.overdue"


def _entry(kind: str, state: str, text: str) -> journal.Entry:
    payload = {"text": text, "state": state, "link": "/healing"}
    return journal.Entry(Topic.HEALING, kind, _KEY, state, "", payload)
