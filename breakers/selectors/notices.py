"""What everybody may know: how degraded services are for their users, now and lately.

Nothing here names what users do not know: internal names, reasons, or who decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery

from breakers.choices import Level
from breakers.models import DegradedMode, Notice
from health.models import Service
from resilience_site.core.formatting import printable

PAST: Final = timedelta(days=14)
MOST_SHOWN: Final = 200
NAMELESS: Final = "A service"


@dataclass(frozen=True)
class PublicNotice:
    """What users were told of a service at a level; `ended_at` is None while it holds."""

    id: UUID
    name: str
    level: str
    text: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def changed_at(self) -> datetime:
        return self.ended_at or self.started_at


@dataclass(frozen=True)
class PublicStatus:
    """Notices in force, and those that ended in the last 14 days, the last ended first."""

    current: tuple[PublicNotice, ...]
    past: tuple[PublicNotice, ...]

    @property
    def level(self) -> Level:
        """The worst level of all services."""
        levels = [Level(notice.level) for notice in self.current]
        return max(levels, key=list(Level).index, default=Level.NORMAL)

    @property
    def changed_at(self) -> datetime | None:
        """When a notice began or ended last; None while there is none."""
        moments = [notice.changed_at for notice in (*self.current, *self.past)]
        return max(moments, default=None)


def public_status(now: datetime) -> PublicStatus:
    """The notices for the public, in one query."""
    mode = DegradedMode.objects.filter(service=OuterRef("service"))
    named = Service.objects.filter(name=OuterRef("service"))
    rows = (
        Notice.objects.filter(Q(ended_at=None) | Q(ended_at__gt=now - PAST))
        .annotate(
            public_name=Subquery(named.values("public_name")[:1]),
            expires_at=Subquery(mode.values("expires_at")[:1]),
        )
        # Those in force first, whatever their number.
        .order_by(F("ended_at").desc(nulls_first=True), "-started_at", "-id")
    )
    notices = [_public(row, now) for row in rows[:MOST_SHOWN]]
    return PublicStatus(
        current=tuple(each for each in notices if each.ended_at is None),
        past=tuple(each for each in notices if each.ended_at is not None),
    )


def _public(row: Notice, now: datetime) -> PublicNotice:
    ended_at, expires_at = row.ended_at, row.expires_at  # type: ignore[attr-defined]  # annotated
    # Services go back by themselves, a moment before the site has written it down.
    if ended_at is None and expires_at is not None and expires_at <= now:
        ended_at = expires_at
    return PublicNotice(
        id=row.id,
        name=row.public_name or NAMELESS,  # type: ignore[attr-defined]
        level=row.level,
        text=printable(row.text),
        started_at=row.started_at,
        ended_at=ended_at,
    )
