"""The failure detector: finds what workflows could heal, and has them begin.

It follows the journal for news, and compares what fails now with what could be healed: at once
when there is news, else every ten seconds. So whatever lasts is found, though nobody looked when it
began, and nothing is healed that is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from healing.models import DetectorCursor, HealingRun
from healing.selectors.standing import failures_standing
from healing.services.detecting.attempts import opportunities_try
from healing.services.detecting.opportunities import opportunities_follow
from healing.services.detecting.relapses import heals_follow
from resilience_site.core import journal
from resilience_site.core.choices import Topic

READER: Final = "failure_detector"
EVERY: Final = timedelta(seconds=10)
# Entries that may change what fails or what may be done about it; the rest are hints for pages.
NEWS: Final = {
    Topic.HEALTH.value: ("failure_", "state_changed"),
    Topic.BREAKERS.value: ("breaker.",),
    Topic.PATTERNS.value: (
        "pattern.escalating", "pattern.regressed", "pattern.calmed", "pattern.resolve",
        "pattern.ignore", "pattern.reopen",
    ),
    Topic.PREDICTIONS.value: ("prediction_",),
    Topic.ALERTS.value: ("alert.",),
    Topic.HEALING.value: ("run.", "target.", "switch.", "automation.", "workflow."),
}  # fmt: skip
_PAGE: Final = 1_000
_MOST_PAGES: Final = 50


def failures_detect(*, now: datetime) -> list[HealingRun]:
    """Look once; returns the runs that began. Of two callers at a time, one looks."""
    failures_look(now=now)
    return opportunities_try(now=now)


def failures_look(*, now: datetime) -> None:
    """Bring opportunities in line with what fails now, if there is news or it is time."""
    DetectorCursor.objects.get_or_create(
        reader=READER, defaults={"position": journal.latest_cursor()}
    )
    with transaction.atomic():
        cursor = (
            DetectorCursor.objects.select_for_update(skip_locked=True).filter(reader=READER).first()
        )
        if cursor is None:
            return
        news = _read_on(cursor)
        if not (news or cursor.looked_at is None or now - cursor.looked_at >= EVERY):
            cursor.save(update_fields=["position"])
            return
        failures = failures_standing(now)
        entries = heals_follow(since=cursor.looked_at or now, now=now)
        entries += opportunities_follow(failures, looked_at=cursor.looked_at, now=now)
        cursor.looked_at = now
        cursor.save()
        journal.append(entries)


def _read_on(cursor: DetectorCursor) -> bool:
    """Move the cursor to the end of the journal, or near it; whether there was news on the way."""
    news = False
    for _ in range(_MOST_PAGES):
        page = journal.read(cursor.position, list(NEWS), _PAGE)
        if page:
            cursor.position = page[-1].id
        news = news or any(each.kind.startswith(NEWS[each.topic]) for each in page)
        if len(page) < _PAGE:
            break
    return news
