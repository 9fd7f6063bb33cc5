"""Chronic healing: each run succeeds, and the target has to be healed again and again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection, transaction
from django.db.models import Count, IntegerField, Min
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Coalesce

from healing.choices import RunState
from healing.domain.definition import Guards
from healing.models import HealingRun
from resilience_site.core import journal
from resilience_site.core.choices import Topic

_DAY: Final = timedelta(days=1)
# A run is over a day after it began, or after it was approved, at the latest.
_LONGEST: Final = timedelta(days=9)
_KIND: Final = "healing.chronic"
# Any constant that no other advisory lock of the site uses.
_LOCK: Final = 0x6368726F6E6963


def chronic_tell(*, now: datetime) -> list[str]:
    """Tell of targets that were healed so often in a day that a person should look why, each once
    a day; the targets told of. Any number of callers may."""
    found = chronic_list(now=now)
    if not found:
        return []
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        told = _told_since(now - _DAY)
        new = [each for each in found if each["target"] not in told]
        journal.append([_entry(each, now) for each in new])
    return [each["target"] for each in new]


def chronic_list(*, now: datetime) -> list[dict[str, Any]]:
    """Targets with as many heals in the last 24 hours as one of their workflows bears, the one
    that was healed most often first; one query."""
    bound = KeyTextTransform("chronic_per_day", KeyTransform("guards", "definition"))
    rows = (
        HealingRun.objects.filter(
            dry_run=False,
            state=RunState.SUCCEEDED,
            started_at__isnull=False,
            ended_at__gt=now - _DAY,
            ended_at__lte=now,
            created_at__gt=now - _LONGEST,
        )
        .values("target_kind", "target", "service")
        .annotate(
            heals=Count("id"),
            bound=Min(Coalesce(Cast(bound, IntegerField()), Guards().chronic_per_day)),
            workflows=ArrayAgg("workflow", order_by="-ended_at"),
        )
        .order_by("-heals", "target")
    )
    return [dict(each) for each in rows if each["heals"] >= each["bound"]]


def _told_since(since: datetime) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key FROM core_journalentry WHERE topic = %s AND kind = %s "
            "AND (payload->>'at')::timestamptz > %s",
            [Topic.HEALING.value, _KIND, since],
        )
        return {row[0] for row in cursor.fetchall()}


def _entry(found: dict[str, Any], now: datetime) -> journal.Entry:
    target, heals = found["target"], found["heals"]
    text = f"{target} was healed {heals} times in 24 hours, each time with success: look why."
    payload = {
        "target": target,
        "target_kind": found["target_kind"],
        "service": found["service"],
        # The one that healed it last.
        "workflow": found["workflows"][0],
        "heals": heals,
        "bound": found["bound"],
        "text": text,
        "reason": f"{heals} heals in 24 hours, from {found['bound']} on a person should look.",
        "state": "chronic",
        "link": "/healing",
        "at": now.isoformat(),
    }
    return journal.Entry(Topic.HEALING, _KIND, target, "chronic", found["service"], payload)
