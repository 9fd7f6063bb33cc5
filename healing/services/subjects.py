"""What a person names as the target of a run, found in the catalogue."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from analytics.models import ErrorPattern
from breakers.selectors.names import breaker_check
from healing.actions.base import Subject
from healing.choices import TargetKind, TriggerKind
from healing.domain.definition import Definition
from healing.models import HealingTarget
from health.choices import HealthState
from health.models import Check, Service
from resilience_site.core.formatting import printable
from resilience_site.core.problems import Invalid, NotFound

_FIELD = "body.target"


def subject_by_hand(definition: Definition, target: Any) -> Subject:
    """The subject of a run that a person starts. Its check, by which the run is verified, is the
    one that fails, else any that is critical for the service.

    Raises `Invalid` for what cannot be such a target, and `NotFound` where there is none.
    """
    name = target.strip() if isinstance(target, str) else ""
    if not name or "\0" in name:
        raise Invalid.field(_FIELD, "Name what the workflow shall act on.")
    match definition.target:
        case TargetKind.BREAKER:
            service = _service_of_breaker(name)
        case TargetKind.PATTERN:
            service = _service_of_pattern(name)
        case _:
            service = _service(name)
    return Subject(
        kind=definition.target,
        name=name,
        service=service,
        check_id=_check(service),
        trigger_kind=TriggerKind.MANUAL,
        trigger={"text": "started by hand"},
    )


def _service(name: str) -> str:
    known = Service.objects.filter(name=name).exists()
    if not known and not HealingTarget.objects.filter(service=name).exists():
        raise NotFound(f"There is no service {printable(name[:100])}.")
    return name


def _service_of_breaker(name: str) -> str:
    service, slash, breaker = name.partition("/")
    if not slash:
        raise Invalid.field(_FIELD, "A breaker is named as service/name.")
    breaker_check(service, breaker, "")
    return service


def _service_of_pattern(name: str) -> str:
    try:
        pattern = ErrorPattern.objects.filter(pk=UUID(name)).only("service").first()
    except ValueError:
        raise Invalid.field(_FIELD, "An error pattern is named by its id.") from None
    if pattern is None:
        raise NotFound(f"There is no error pattern {name}.")
    return str(pattern.service)


def _check(service: str) -> UUID | None:
    rows = Check.objects.filter(service__name=service, enabled=True).select_related("status")
    ordered = sorted(
        rows,
        key=lambda each: (
            each.status.own_state != HealthState.DOWN, not each.critical, each.name,
        ),
    )  # fmt: skip
    return ordered[0].id if ordered else None
