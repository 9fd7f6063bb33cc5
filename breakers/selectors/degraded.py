"""Degraded modes: at what level each service runs, and what its users are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from breakers.choices import Level
from breakers.models import DegradedMode
from breakers.selectors.applied import Applied, applied_by_service
from health.models import Service
from resilience_site.core.models import AuditEntry

OBJECT_TYPE = "service"
ACTIONS = "degraded."
_WORST_FIRST = (Level.OFFLINE, Level.ESSENTIAL, Level.REDUCED, Level.NORMAL)


@dataclass(frozen=True)
class DegradedView:
    """A service and its level. `mode` is what was decided last, None where nothing ever was;
    `version` is the one that a change has to name."""

    service: str
    public_name: str
    level: str
    mode: DegradedMode | None
    applied: Applied

    @property
    def version(self) -> int:
        return self.mode.version if self.mode else 0

    @property
    def degraded(self) -> bool:
        return self.level != Level.NORMAL


def degraded_list(*, now: datetime, q: str = "") -> list[DegradedView]:
    """All services of the catalogue and all that ask for their document, the worst level first;
    `q` is part of a name."""
    modes = {mode.service: mode for mode in DegradedMode.objects.all()}
    applied = applied_by_service(now=now)
    public = dict(Service.objects.values_list("name", "public_name"))
    views = [
        _view(service, public.get(service, ""), modes.get(service), applied.get(service), now)
        for service in modes.keys() | applied.keys() | public.keys()
        if q.lower() in service.lower()
    ]
    return sorted(views, key=lambda view: (_WORST_FIRST.index(Level(view.level)), view.service))


def degraded_find(service: str, *, now: datetime) -> DegradedView | None:
    """One service; None where nobody knows it."""
    mode = DegradedMode.objects.filter(service=service).first()
    applied = applied_by_service(now=now, services=[service]).get(service)
    public = Service.objects.filter(name=service).values_list("public_name", flat=True).first()
    if mode is None and applied is None and public is None:
        return None
    return _view(service, public or "", mode, applied, now)


def degraded_history(service: str) -> QuerySet[AuditEntry]:
    """What was done and refused about the level of a service, newest first."""
    return AuditEntry.objects.filter(
        object_type=OBJECT_TYPE, object_id=service, action__startswith=ACTIONS
    )


def _view(
    service: str,
    public_name: str,
    mode: DegradedMode | None,
    applied: Applied | None,
    now: datetime,
) -> DegradedView:
    level: str = Level.NORMAL
    # Instances go back by themselves, a moment before the site has written it down.
    if mode is not None and (mode.expires_at is None or mode.expires_at > now):
        level = mode.level
    return DegradedView(
        service, public_name, str(level), mode, applied or Applied(service, 0, None, ())
    )
