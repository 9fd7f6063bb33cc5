"""The auditor: proves that every run that was due was looked at, and tells when not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from healing.choices import OPEN
from healing.models import HealingRun
from resilience_site.core import journal
from resilience_site.core.choices import Topic

# Beyond the tick, what a full queue may take.
LATE: Final = timedelta(seconds=60)
_KEY: Final = "auditor"
_LAST: Final = """
SELECT kind FROM core_journalentry WHERE topic = 'healing' AND key = %s
AND kind IN ('audit.overdue', 'audit.well') ORDER BY id DESC LIMIT 1
"""


def runs_audit(now: datetime) -> list[UUID]:
    """The runs that were due a minute ago and that nobody has looked at; tells of the first and,
    once there are none any more, of that."""
    rows = HealingRun.objects.filter(state__in=OPEN, due_at__lt=now - LATE)
    late = rows.exclude(lease_until__gte=now)
    overdue = list(late.order_by("due_at").values_list("pk", "workflow", "target", "due_at"))
    with transaction.atomic():
        told = _is_told()
        if overdue and not told:
            names = ", ".join(f"{workflow} on {target}" for _, workflow, target, _ in overdue[:5])
            waits = (now - overdue[0][3]).total_seconds()
            text = (
                f"{len(overdue)} due healing {'run was' if len(overdue) == 1 else 'runs were'} "
                f"not looked at for {waits:.0f} s: {names}"
            )
            journal.append([_entry("audit.overdue", "overdue", text)])
        if told and not overdue:
            journal.append([_entry("audit.well", "well", "Every due healing run is looked at")])
    return [key for key, *_ in overdue]


def _is_told() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_LAST, [_KEY])
        row = cursor.fetchone()
    return row is not None and row[0] == "audit.overdue"


def _entry(kind: str, state: str, text: str) -> journal.Entry:
    payload = {"text": text, "state": state, "link": "/healing/"}
    return journal.Entry(Topic.HEALING, kind, _KEY, state, "", payload)
