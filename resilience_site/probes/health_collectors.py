"""The story's metrics of health: how checks, services and what they need have been doing.

What takes the sums of a month is worked out once a minute, however often somebody scrapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from health.domain.reliability import Reliability
from health.models import CheckStatus, Dependency
from health.selectors.availability import (
    DAY,
    MONTH,
    Figure,
    checks_availability,
    critical_services,
    services_availability,
    services_reliability,
)
from health.selectors.graph import COUNTED
from health.selectors.service_health import services_health
from resilience_site.probes.remember import Remembered

MAX_SAMPLES: Final = 5_000
_MINUTE: Final = 60.0

Sample = tuple[tuple[str, ...], float]
Collector = Callable[[datetime], Iterable[Sample]]


def _read_month() -> dict[str, Reliability]:
    figures = services_availability(critical_services(), now=datetime.now(UTC), windows=[MONTH])
    return {name: found for name, (found,) in services_reliability(figures).items()}


_month: Final = Remembered(_read_month, _MINUTE)


def forget() -> None:
    """Work the month out anew at the next request."""
    _month.forget()


def _mean_time_to_recovery(now: datetime) -> Iterator[Sample]:
    for service, found in sorted(_month.get().items()):
        if found.mttr is not None:
            yield (service,), found.mttr


def _mean_time_between_failures(now: datetime) -> Iterator[Sample]:
    for service, found in sorted(_month.get().items()):
        if found.mtbf is not None:
            yield (service,), found.mtbf


def _check_duration(now: datetime) -> Iterator[Sample]:
    rows = CheckStatus.objects.filter(check_row__enabled=True, last_latency_ms__isnull=False)
    found = rows.order_by("check_row__service__name", "check_row__name").values_list(
        "check_row__service__name", "check_row__name", "last_latency_ms"
    )
    for service, check, milliseconds in found[:MAX_SAMPLES]:
        yield (service, check), (milliseconds or 0.0) / 1000


def _health_score(now: datetime) -> Iterator[Sample]:
    for service in services_health(now=now):
        if service.score.value is not None:
            yield (service.name,), service.score.value


# --- What services need -----------------------------------------------------------------------


def _dependency_availability(now: datetime) -> Iterator[Sample]:
    """By the service that needs it and the name of what it needs, a service or a single check."""
    edges = list(
        Dependency.objects.filter(status__in=COUNTED)
        .order_by("created_at", "id")
        .values_list(
            "child_service__name", "child_check__service__name",
            "parent_service__name", "parent_check_id", "parent_check__name",
        )[:MAX_SAMPLES]
    )  # fmt: skip
    services = {service for *_, service, _, _ in edges if service is not None}
    checks = {check for *_, check, _ in edges if check is not None}
    of_services = services_availability(services, now=now, windows=[DAY])
    of_checks = checks_availability(checks, now=now, windows=[DAY])
    found: dict[tuple[str, str], float] = {}
    for child, owner, service, check, name in edges:
        ratio = _ratio(of_services, of_checks, service, check)
        if ratio is not None:
            key = (child or owner, service or name)
            found[key] = min(ratio, found.get(key, ratio))
    yield from sorted(found.items())


def _ratio(
    of_services: Mapping[str, tuple[Figure, ...]],
    of_checks: Mapping[UUID, tuple[Figure, ...]],
    service: str | None,
    check: UUID | None,
) -> float | None:
    figures = of_services.get(service or "") or (of_checks.get(check) if check else None)
    return figures[0].ratio if figures else None


HEALTH_COLLECTORS: Final[dict[str, Collector]] = {
    "resilience_mean_time_to_recovery_seconds": _mean_time_to_recovery,
    "resilience_mean_time_between_failures_seconds": _mean_time_between_failures,
    "resilience_health_check_duration_seconds": _check_duration,
    "resilience_dependency_availability_ratio": _dependency_availability,
    "resilience_health_score": _health_score,
}
