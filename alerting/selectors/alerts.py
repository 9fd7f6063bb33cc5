"""Alerts as lists and single ones, and what was told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Min, Q, QuerySet, Value, When

from alerting.choices import AlertState, Severity
from alerting.domain.grouping import is_everything_else
from alerting.models import Alert, AlertGroup, Delivery
from alerting.selectors.heard import Heard, deliveries_since, heard_of
from resilience_site.core.pagination import Page, keyset_page
from resilience_site.core.timerange import TimeRange

STATES: Final = ("open", *AlertState.values)
MOST_DELIVERIES: Final = 20
URGENCY: Final = Case(
    *(When(severity=each, then=Value(n)) for n, each in enumerate(Severity.values)),
    default=Value(len(Severity.values)),
    output_field=IntegerField(),
)


@dataclass(frozen=True)
class AlertFilter:
    """What a list of alerts is narrowed to; what is empty or None narrows nothing. `state` is one
    of `STATES`."""

    state: str = ""
    service: str = ""
    severity: str = ""
    rule: str = ""
    q: str = ""
    suppressed: bool | None = None
    group: int | None = None
    incident: UUID | None = None


def alerts_wanted(wanted: AlertFilter, within: TimeRange | None = None) -> QuerySet[Alert]:
    """The alerts that fit; of a range those that were there at some moment of it."""
    rows = Alert.objects.all()
    if wanted.state == "open":
        rows = rows.exclude(state=AlertState.RESOLVED)
    elif wanted.state:
        rows = rows.filter(state=wanted.state)
    for column, value in (
        ("service", wanted.service),
        ("severity", wanted.severity),
        ("rule_name", wanted.rule),
        ("groups", wanted.group),
        ("incident", wanted.incident),
    ):
        if value:
            rows = rows.filter(**{column: value})
    if wanted.suppressed is not None:
        held = ~Q(suppressed_by=[])
        rows = rows.filter(held if wanted.suppressed else ~held)
    if wanted.q:
        rows = rows.filter(
            Q(rule_name__icontains=wanted.q)
            | Q(annotations__summary__icontains=wanted.q)
            | Q(service__icontains=wanted.q)
        )
    if within is not None:
        over = Q(ended_at__isnull=False, ended_at__lt=within.since)
        rows = rows.filter(started_at__lt=within.until).exclude(over)
    return rows


def alert_list(
    *, wanted: AlertFilter, within: TimeRange | None = None, limit: int, cursor: str | None
) -> Page:
    """One page of alerts, the newest first. Raises `Malformed`."""
    return keyset_page(
        alerts_wanted(wanted, within),
        by=("-started_at", "-id"),
        types=(datetime, UUID),
        cursor=cursor,
        limit=limit,
    )


def alert_find(alert_id: UUID) -> Alert | None:
    return Alert.objects.select_related("rule", "incident").filter(pk=alert_id).first()


@dataclass(frozen=True)
class OpenCounts:
    """Open alerts by what they ask for: those that fire by severity, and those that are pending.
    `held` are those that a silence, maintenance or another alert holds back."""

    page: int
    ticket: int
    info: int
    pending: int
    held: int

    @property
    def firing(self) -> int:
        return self.page + self.ticket + self.info


def open_counts() -> OpenCounts:
    """How many alerts are open now; one query."""
    firing = Q(state=AlertState.FIRING)
    found = Alert.objects.exclude(state=AlertState.RESOLVED).aggregate(
        **{each: Count("id", filter=firing & Q(severity=each)) for each in Severity.values},
        pending=Count("id", filter=Q(state=AlertState.PENDING)),
        held=Count("id", filter=firing & ~Q(suppressed_by=[])),
    )
    return OpenCounts(**found)


def alerts_firing(rule_name: str, *, most: int) -> list[Alert]:
    """The alerts of a rule that fire now, the newest first; at most so many."""
    rows = Alert.objects.filter(state=AlertState.FIRING, rule_name=rule_name)
    return list(rows.order_by("-started_at", "-id")[:most])


def rules_firing() -> list[tuple[str, int]]:
    """The names of the rules whose alerts fire now, with how many, the most urgent first."""
    rows = Alert.objects.filter(state=AlertState.FIRING).order_by().values("rule_name")
    found = rows.annotate(n=Count("id"), urgency=Min(URGENCY)).order_by("urgency", "rule_name")
    return list(found.values_list("rule_name", "n"))


@dataclass(frozen=True)
class OpenGroup:
    """The open alerts of one service, the most urgent first; `left_out` are not listed."""

    service: str
    alerts: list[Alert]
    count: int

    @property
    def left_out(self) -> int:
        return self.count - len(self.alerts)


def open_groups(wanted: AlertFilter, *, most: int, most_each: int) -> list[OpenGroup]:
    """Open alerts by service, those with the most urgent ones first; two queries.

    At most `most` alerts are listed, and `most_each` of a service.
    """
    rows = alerts_wanted(wanted)
    counts = dict(rows.order_by().values_list("service").annotate(n=Count("id")))
    found: dict[str, list[Alert]] = {}
    for alert in rows.order_by(URGENCY, "-started_at", "-id")[:most]:
        found.setdefault(alert.service, []).append(alert)
    return [
        OpenGroup(service, alerts[:most_each], counts.get(service, len(alerts)))
        for service, alerts in found.items()
    ]


@dataclass(frozen=True)
class GroupTold:
    """A group that an alert belongs to, and what the channels there heard of it."""

    group: AlertGroup
    told: list[Heard]

    @property
    def others(self) -> bool:
        """Whether it takes what was too much to tell one by one."""
        return is_everything_else(self.group.key)


def groups_of(alert: Alert) -> list[GroupTold]:
    """The groups of an alert, with what became of the messages of it; two queries."""
    groups = list(alert.groups.select_related("route").order_by("route_name", "id"))
    heard = heard_of(alert, [each.pk for each in groups])
    return [GroupTold(each, heard.get(each.pk, [])) for each in groups]


def deliveries_of(alert: Alert, groups: Sequence[GroupTold]) -> list[Delivery]:
    """What was sent of the groups of an alert since it fired, the newest first."""
    if alert.fired_at is None or not groups:
        return []
    rows = deliveries_since(alert, [each.group.pk for each in groups])
    return list(rows.order_by("-created_at", "-id")[:MOST_DELIVERIES])
