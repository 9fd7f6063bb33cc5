"""Routes, inhibitions and silences as the pipeline reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from alerting.domain.inhibition import InhibitionRule
from alerting.domain.matchers import matchers_stored
from alerting.domain.muting import MaintenanceRule, SilenceRule
from alerting.domain.routing import RouteRule
from alerting.models import Inhibition, Route, Silence
from health.selectors.maintenance import Occurrence, windows_now


def route_list() -> QuerySet[Route]:
    """All routes with their channels, in the order in which they are tried."""
    return Route.objects.prefetch_related("channels").order_by("position", "id")


def route_rule(route: Route) -> RouteRule:
    """A route of `route_list` as the pipeline takes it."""
    return RouteRule(
        id=route.pk,
        name=route.name,
        matchers=matchers_stored(route.matchers),
        group_by=tuple(route.group_by),
        group_wait=timedelta(seconds=route.group_wait_seconds),
        group_interval=timedelta(seconds=route.group_interval_seconds),
        repeat_interval=timedelta(seconds=route.repeat_interval_seconds),
        goes_on=route.goes_on,
        channels=tuple(each.pk for each in route.channels.all()),
        every_channel=route.every_channel,
    )


def routes_enabled() -> list[RouteRule]:
    """The routes that are tried, in their order; two queries."""
    return [route_rule(each) for each in route_list().filter(enabled=True)]


def inhibition_list() -> QuerySet[Inhibition]:
    """All inhibitions by name."""
    return Inhibition.objects.order_by("name")


def inhibition_rules() -> list[InhibitionRule]:
    """The inhibitions that are enabled."""
    return [
        InhibitionRule(
            name=each.name,
            source=matchers_stored(each.source),
            target=matchers_stored(each.target),
            equal=tuple(each.equal),
            holds_after=timedelta(seconds=each.holds_after_seconds),
        )
        for each in Inhibition.objects.filter(enabled=True)
    ]


def silences_active(now: datetime) -> QuerySet[Silence]:
    """Silences that hold at `now`."""
    return Silence.objects.filter(starts_at__lte=now, ends_at__gt=now)


def silence_rules(silences: Iterable[Silence]) -> list[SilenceRule]:
    """Silences as the pipeline takes them."""
    return [
        SilenceRule(
            id=each.id,
            matchers=matchers_stored(each.matchers),
            ends_at=each.ends_at,
            actor=each.actor,
            reason=each.reason,
        )
        for each in silences
    ]


def maintenance_rules(now: datetime) -> list[MaintenanceRule]:
    """Maintenance windows that go on at `now`; one query."""
    return [
        MaintenanceRule(each.maintenance_id, each.name, each.ends_at, _Covering(each))
        for each in windows_now(now)
    ]


@dataclass(frozen=True)
class _Covering:
    """Tells what a window covers, also of an alert that is about no check."""

    window: Occurrence

    def __call__(self, check_id: UUID | None, service: str) -> bool:
        window = self.window
        return window.everything or check_id in window.checks or service in window.services
