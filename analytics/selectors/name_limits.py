"""Reads of what came beyond the limits of names, and how many of each are kept apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum

from analytics.choices import NameKind
from analytics.domain.fingerprints import MOST_PATTERNS, OTHERS_RULE
from analytics.domain.name_limits import NAME_LIMITS, NameLimit
from analytics.models import ErrorPattern, FoldedName
from health.domain.catalogue_room import MOST_SERVICES, OTHER_SERVICES
from health.models import Service
from resilience_site.config import config

# For as long after the last of it a service is said to have its fill.
FOLDING_WITHIN = timedelta(hours=1)
MOST_ROWS = 500
_FIXED = {str(NameKind.SERVICE): MOST_SERVICES, str(NameKind.PATTERN): MOST_PATTERNS}


@dataclass(frozen=True)
class Folded:
    """How much of a service came beyond one limit since `first_at`; `items` is None where it is
    not counted. `now`: within the last hour."""

    service: str
    limit: NameLimit
    items: int | None
    example: str
    first_at: datetime
    last_at: datetime
    now: bool

    @property
    def kind(self) -> str:
        return self.limit.kind

    @property
    def most(self) -> int:
        return most_of(self.limit.kind)

    @property
    def advice(self) -> str:
        """What to do, and by which variable more are kept apart."""
        advice = f"{self.limit.advice[0].upper()}{self.limit.advice[1:]}"
        if not self.limit.variable:
            return f"{advice}."
        return f"{advice}; or keep more apart by {self.limit.variable}."


def most_of(kind: str) -> int:
    """How many names of a kind are kept apart: of a service, or of services on the whole."""
    limit = NAME_LIMITS[kind]
    if limit.variable:
        return int(getattr(config, limit.variable.lower()))
    return _FIXED[kind]


def folded_list(*, now: datetime, service: str = "") -> list[Folded]:
    """What came beyond limits, newest first, of all services or of one; at most 500 rows."""
    since = now - FOLDING_WITHIN
    names = FoldedName.objects.all()
    patterns = ErrorPattern.objects.filter(rule=OTHERS_RULE)
    if service:
        names, patterns = names.filter(service=service), patterns.filter(service=service)
    found = [
        Folded(
            row.service, NAME_LIMITS[row.kind], row.items, row.example, row.first_at, row.last_at,
            row.last_at > since,
        )
        for row in names.order_by("-last_at", "id")[:MOST_ROWS]
    ]  # fmt: skip
    found += [
        Folded(
            row.service, NAME_LIMITS[NameKind.PATTERN], row.count, "", row.first_seen,
            row.last_seen, row.last_seen > since,
        )
        for row in patterns.order_by("-last_seen", "id")[:MOST_ROWS]
    ]  # fmt: skip
    if service in ("", OTHER_SERVICES):
        found += [
            Folded(
                row.name, NAME_LIMITS[NameKind.SERVICE], None, "", row.first_seen, row.last_seen,
                row.last_seen > since,
            )
            for row in Service.objects.filter(name=OTHER_SERVICES)
        ]  # fmt: skip
    found.sort(key=lambda row: (-row.last_at.timestamp(), row.service, row.kind))
    return found[:MOST_ROWS]


def folded_totals(*, now: datetime) -> list[tuple[str, int, int]]:
    """For each kind what came beyond its limit, and in how many services within the last hour."""
    lately = Count("id", filter=Q(last_at__gt=now - FOLDING_WITHIN))
    rows = FoldedName.objects.values("kind").annotate(total=Sum("items"), lately=lately)
    return [(row["kind"], int(row["total"]), row["lately"]) for row in rows.order_by("kind")]
