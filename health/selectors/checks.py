"""Reads of checks: which there are and how they stand, what one has seen, whom it is blamed for.

The number of queries of each read is constant, whatever it finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from health.choices import Criticality, HealthState, ResultStatus
from health.domain.graph import Graph
from health.models import Check, CheckResult, Outage, StateChange
from health.selectors.graph import check_edges
from resilience_site.core.pagination import Page, keyset_page
from resilience_site.core.problems import Invalid
from resilience_site.core.timerange import TimeRange

# A check that is switched off has no state of its own worth showing.
PAUSED: Final = "paused"
# From the worst: the order of lists.
TROUBLE: Final = (
    HealthState.DOWN.value,
    HealthState.UNREACHABLE.value,
    HealthState.DEGRADED.value,
    HealthState.UNKNOWN.value,
    HealthState.MAINTENANCE.value,
    HealthState.UP.value,
    PAUSED,
)
_WEIGHTS: Final = (
    Criticality.CRITICAL,
    Criticality.HIGH,
    Criticality.MEDIUM,
    Criticality.UNSET,
    Criticality.LOW,
)


@dataclass(frozen=True)
class CheckFilter:
    """What a list shows: an exact `service`, `kind` and `name`, a `state` of `TROUBLE`, and `q` in
    the name of the check or of its service. Empty fields do not filter."""

    service: str = ""
    kind: str = ""
    state: str = ""
    q: str = ""
    name: str = ""


def shown_state(check: Check) -> str:
    """The state of a check as people read it."""
    return check.status.state if check.enabled else PAUSED


def check_rows() -> QuerySet[Check]:
    """All checks with their status, their service and their culprit, by one query."""
    return Check.objects.filter(status__isnull=False).select_related(
        "status", "service", "status__culprit"
    )


def check_list(*, wanted: CheckFilter, cursor: str | None, limit: int) -> Page:
    """Checks, the worst state first, then by the criticality of their service, then by name.

    Raises `Invalid` for a state that is none and `Malformed` for a cursor that is none.
    """
    return keyset_page(
        _filtered(wanted).annotate(trouble=_trouble(), weight=_weight()),
        by=("trouble", "weight", "name"),
        types=(int, int, str),
        cursor=cursor,
        limit=limit,
    )


def _filtered(wanted: CheckFilter) -> QuerySet[Check]:
    rows = check_rows()
    if wanted.service:
        rows = rows.filter(service__name=wanted.service)
    if wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    if wanted.name:
        rows = rows.filter(name=wanted.name)
    if wanted.q:
        rows = rows.filter(Q(name__icontains=wanted.q) | Q(service__name__icontains=wanted.q))
    if not wanted.state:
        return rows
    if wanted.state not in TROUBLE:
        raise Invalid.field("query.state", f"The state is one of {', '.join(TROUBLE)}.")
    if wanted.state == PAUSED:
        return rows.filter(enabled=False)
    return rows.filter(enabled=True, status__state=wanted.state)


def _trouble() -> Case:
    return Case(
        When(enabled=False, then=Value(TROUBLE.index(PAUSED))),
        *(When(status__state=state, then=Value(place)) for place, state in enumerate(TROUBLE)),
        default=Value(len(TROUBLE)),
        output_field=IntegerField(),
    )


def _weight() -> Case:
    return Case(
        *(
            When(service__criticality=weight, then=Value(place))
            for place, weight in enumerate(_WEIGHTS)
        ),
        default=Value(len(_WEIGHTS)),
        output_field=IntegerField(),
    )


def check_get(check_id: UUID) -> Check:
    """One check as `check_rows` gives it; raises `Check.DoesNotExist`."""
    return check_rows().get(id=check_id)


def checks_of(ids: Collection[UUID]) -> list[Check]:
    """These checks, the worst first."""
    rows = check_rows().filter(id__in=ids).annotate(trouble=_trouble(), weight=_weight())
    return list(rows.order_by("trouble", "weight", "name"))


def checks_of_service(service: str) -> list[Check]:
    """The checks of a service, the worst first."""
    rows = check_rows().filter(service__name=service).annotate(trouble=_trouble())
    return list(rows.order_by("trouble", "name"))


def state_counts() -> dict[str, int]:
    """How many checks are in each state of `TROUBLE`, the worst first; states of none are left
    out."""
    rows = (
        Check.objects.filter(status__isnull=False)
        .values_list("enabled", "status__state")
        .annotate(checks=Count("id"))
        .order_by()
    )
    counts: dict[str, int] = {}
    for enabled, state, checks in rows:
        shown = state if enabled else PAUSED
        counts[shown] = counts.get(shown, 0) + checks
    return {state: counts[state] for state in TROUBLE if state in counts}


def service_names_with_checks() -> list[str]:
    """The services that have checks, by name."""
    names = Check.objects.order_by("service_id").values_list("service_id", flat=True).distinct()
    return [str(name) for name in names]


def culprit_list(most: int = 10) -> list[Check]:
    """The checks that are down and nothing explains it: those that the most others fail because
    of, then those of the most critical services, each with that number as `blamed`."""
    rows = check_rows().filter(enabled=True, status__state=HealthState.DOWN)
    rows = rows.annotate(blamed=Count("blamed_by"), weight=_weight())
    return list(rows.order_by("-blamed", "weight", "name")[:most])


def services_in_radius(check_id: UUID) -> list[str]:
    """The services that fail with a check, its own among them, by name; three queries."""
    wanted = Graph(check_edges()).descendants(check_id) | {check_id}
    names = Check.objects.filter(id__in=wanted).order_by("service_id")
    return [str(name) for name in names.values_list("service_id", flat=True).distinct()]


def blamed_for(check_id: UUID) -> list[Check]:
    """The checks that are unreachable or degraded because of this one."""
    return list(check_rows().filter(status__culprit=check_id).order_by("name"))


# --- What one check has seen ------------------------------------------------------------------


def result_page(
    check_id: UUID,
    within: TimeRange,
    *,
    statuses: Iterable[str] = (),
    cursor: str | None = None,
    limit: int,
) -> Page:
    """Runs that began in `within`, the newest first. Raises `Invalid` for an unknown status and
    `Malformed` for a cursor that is none."""
    rows = CheckResult.objects.filter(check_id=check_id, at__gte=within.since, at__lt=within.until)
    wanted = [each for each in statuses if each]
    if unknown := sorted(set(wanted) - set(ResultStatus.values)):
        raise Invalid.field(
            "query.status", f"{unknown[0]!r} is none of {', '.join(ResultStatus.values)}."
        )
    if wanted:
        rows = rows.filter(status__in=wanted)
    return keyset_page(rows, by=("-at",), types=(datetime,), cursor=cursor, limit=limit)


def change_page(
    check_id: UUID, within: TimeRange, *, cursor: str | None = None, limit: int
) -> Page:
    """Changes of state in effect from a moment of `within`, the newest first."""
    rows = StateChange.objects.filter(
        check_row=check_id, since__gte=within.since, since__lt=within.until
    )
    return keyset_page(
        rows, by=("-since", "-id"), types=(datetime, int), cursor=cursor, limit=limit
    )


def changes_through(check_id: UUID, within: TimeRange, most: int) -> list[StateChange]:
    """The changes that shape `within`, in the order in which they were found out: the newest `most`
    in it, and the last one before it."""
    rows = StateChange.objects.filter(check_row=check_id)
    inside = rows.filter(since__gte=within.since, since__lt=within.until)
    before = rows.filter(since__lt=within.since)
    newest = [*inside.order_by("-since", "-id")[:most], *before.order_by("-since", "-id")[:1]]
    return sorted(newest, key=lambda each: each.id)


def outage_page(check_id: UUID, *, cursor: str | None = None, limit: int) -> Page:
    """The outages of a check, the newest first."""
    return keyset_page(
        Outage.objects.filter(check_row=check_id),
        by=("-started_at", "-id"),
        types=(datetime, UUID),
        cursor=cursor,
        limit=limit,
    )
