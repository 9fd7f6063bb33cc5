"""Who hears of pages whose routes have no channel that is enabled: one that works stands in."""

from __future__ import annotations

from collections.abc import Set
from uuid import UUID

from django.db.models import Q

from alerting.choices import Severity
from alerting.models import Alert, AlertGroup, Channel, Route


def pages_alone(group: AlertGroup, firing: Set[UUID]) -> frozenset[UUID]:
    """Of what fires in a group whose route tells nobody, the pages that no other group tells; of
    several such groups the oldest takes a page. Two queries."""
    pages = Alert.objects.filter(pk__in=firing, severity=Severity.PAGE)
    alone = set(pages.order_by().values_list("pk", flat=True))
    if not alone:
        return frozenset()
    elsewhere = (
        group.alerts.through.objects.exclude(alertgroup=group)
        .filter(alert_id__in=alone, alertgroup__route__enabled=True)
        .filter(
            Q(alertgroup__route__every_channel=True)
            | Q(alertgroup__route__channels__enabled=True)
            | Q(alertgroup_id__lt=group.pk)
        )
    )
    return frozenset(alone - set(elsewhere.values_list("alert_id", flat=True)))


def stand_in_of(route: Route, known: Set[UUID]) -> Channel | None:
    """The channel that takes the pages of a route without an enabled one: of those that work first
    one that is `known` to have taken them, then a fallback, then the one that works best."""
    working = Channel.objects.filter(enabled=True, paused_at=None)
    fallbacks = set(route.channels.exclude(fallback=None).values_list("fallback_id", flat=True))
    return min(
        working,
        key=lambda each: (each.pk not in known, each.pk not in fallbacks, each.failures, each.name),
        default=None,
    )
