"""How services and the whole stand now: states, scores with their reasons, and the rows behind them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from health.domain.score import (
    NO_CHECKS,
    SEVERITY,
    CheckNow,
    Score,
    ServiceNow,
    overall_score,
    overall_state,
    service_score,
    service_state,
)
from health.models import CheckStatus, Service
from health.selectors.availability import (
    DAY,
    Figure,
    Window,
    overall_availability,
    services_availability,
    target,
)


@dataclass(frozen=True)
class CheckRow:
    """A check that is switched on, as it stands; `culprit` names the failure that explains its own."""

    id: UUID
    name: str
    kind: str
    service: str
    state: str
    since: datetime
    critical: bool
    flapping: bool
    culprit: str
    latency_ms: float | None
    last_run_at: datetime | None


@dataclass(frozen=True)
class ServiceHealth:
    """A service as it stands: its worst checks first, its availability over each window that was
    asked for, the last 24 hours first."""

    name: str
    public_name: str
    criticality: str
    state: str
    score: Score
    checks: tuple[CheckRow, ...]
    figures: tuple[Figure, ...]

    @property
    def availability(self) -> Figure:
        """Over the last 24 hours."""
        return self.figures[0]

    @property
    def note(self) -> str:
        """Why nothing is known, where nothing is."""
        return "" if self.checks else NO_CHECKS


@dataclass(frozen=True)
class Health:
    """The whole: its state, its score and its services by name."""

    state: str
    score: Score
    services: tuple[ServiceHealth, ...]
    availability: Figure | None


def health(
    *,
    now: datetime,
    services: Collection[str] | None = None,
    windows: Sequence[Window] = (DAY,),
) -> Health:
    """The health of all services, or of those named, with their availability over `windows`, of
    which the first is `DAY`; a constant number of queries.

    Checks that are switched off say nothing, and services without checks count for nothing.
    """
    found = services_health(now=now, services=services, windows=windows)
    states = [
        ServiceNow(each.name, each.criticality, each.state, each.score.value)
        for each in found
        if each.checks
    ]
    overall = overall_availability([[each.availability] for each in found if each.checks])
    return Health(
        state=overall_state(states),
        score=overall_score(states),
        services=tuple(found),
        availability=overall[0] if overall else None,
    )


def services_health(
    *,
    now: datetime,
    services: Collection[str] | None = None,
    windows: Sequence[Window] = (DAY,),
) -> list[ServiceHealth]:
    """Every service, or those named, by name, each with its state and score."""
    rows = Service.objects.order_by("name")
    if services is not None:
        rows = rows.filter(name__in=list(services))
    catalogue = list(rows.values_list("name", "public_name", "criticality"))
    checks = _checks([name for name, *_ in catalogue], services is None)
    figures = services_availability([name for name, *_ in catalogue], now=now, windows=windows)
    aim = target()
    return [
        _service(name, public_name, criticality, checks.get(name, []), figures[name], aim)
        for name, public_name, criticality in catalogue
    ]


def _service(
    name: str,
    public_name: str,
    criticality: str,
    checks: list[CheckRow],
    figures: tuple[Figure, ...],
    aim: float,
) -> ServiceHealth:
    seen = [CheckNow(each.name, each.state, each.critical) for each in checks]
    return ServiceHealth(
        name=name,
        public_name=public_name,
        criticality=criticality,
        state=service_state(seen),
        score=service_score(seen, figures[0].counted, aim),
        checks=tuple(sorted(checks, key=_worst_first)),
        figures=figures,
    )


def _worst_first(row: CheckRow) -> tuple[int, bool, str]:
    return SEVERITY.index(row.state), not row.critical, row.name


def _checks(names: list[str], everything: bool) -> dict[str, list[CheckRow]]:
    rows = CheckStatus.objects.filter(check_row__enabled=True)
    if not everything:
        rows = rows.filter(check_row__service__name__in=names)
    found: dict[str, list[CheckRow]] = {}
    for values in rows.order_by().values_list(
        "check_row_id",
        "check_row__name",
        "check_row__kind",
        "check_row__service__name",
        "state",
        "since",
        "check_row__critical",
        "flapping",
        "culprit__name",
        "last_latency_ms",
        "last_run_at",
    ):
        row = CheckRow(*values[:8], values[8] or "", *values[9:])
        found.setdefault(row.service, []).append(row)
    return found
