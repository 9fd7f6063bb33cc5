"""Which objectives were in force when, by which terms."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from analytics.models import FormerSlo, Slo

_TERMS: Final = ("objective", "window_days", "threshold_ms", "min_bad", "enabled")


@dataclass(frozen=True)
class InForce:
    """An objective by the terms that held from `since` until `until`, which is None for now."""

    slo: Slo
    since: datetime
    until: datetime | None

    def at(self, moment: datetime) -> bool:
        """Whether it was watched by these terms then."""
        over = self.until is not None and self.until <= moment
        return self.slo.enabled and self.since <= moment and not over


def slos_in_force(since: datetime, until: datetime) -> list[list[InForce]]:
    """The objectives that were watched at some time of a range; each list holds no objective twice.
    Two queries."""
    rows = Slo.objects.filter(Q(deleted_at=None) | Q(deleted_at__gt=since), created_at__lte=until)
    layers: list[list[InForce]] = [[]]
    former: defaultdict[UUID, list[FormerSlo]] = defaultdict(list)
    for terms in FormerSlo.objects.filter(until__gt=since, since__lte=until).order_by("-since"):
        former[terms.slo_id].append(terms)
    for slo in rows:
        spans = [InForce(slo, slo.changed_at, slo.deleted_at)]
        spans += [InForce(_as(slo, each), each.since, each.until) for each in former[slo.id]]
        watched = [each for each in spans if each.slo.enabled and each.since <= until]
        for number, each in enumerate(watched):
            if number == len(layers):
                layers.append([])
            layers[number].append(each)
    return layers


def _as(slo: Slo, terms: FormerSlo) -> Slo:
    """The objective as it was."""
    found = copy(slo)
    for name in _TERMS:
        setattr(found, name, getattr(terms, name))
    return found
