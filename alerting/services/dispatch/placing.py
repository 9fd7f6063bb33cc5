"""Alerts that fire are routed, held back or not, and put into groups.

This follows how things stand, not what has happened: each turn looks at every alert that fires, so
that a changed route, a silence that ends or a process that died need no care of their own. Memory
is bounded by the size of a batch, queries by the number of batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce

from alerting.choices import AlertState
from alerting.domain.grouping import EVERYTHING_ELSE, Grouper
from alerting.domain.pipeline import Candidate, run
from alerting.domain.routing import RouteRule
from alerting.models import Alert, AlertGroup, Silence
from alerting.selectors.labels import MATCHED_COLUMNS, alert_check, alert_labels
from alerting.selectors.pipeline import PipelineNow, pipeline_now
from alerting.services.alerts import alert_journal_payload
from resilience_site.core import journal
from resilience_site.core.choices import Topic

BATCH: Final = 1_000
# Any constant that no other advisory lock of the site uses.
_LOCK: Final = 0x706C616365
_Membership = AlertGroup.alerts.through


def alerts_place(*, now: datetime) -> None:
    """Put each alert that fires into its groups, and say of each why nobody is told of it."""
    after = UUID(int=0)
    batch = _firing_after(after)
    if not batch:
        return
    world = pipeline_now(now)
    while batch:
        with transaction.atomic():
            # Two that place at a time would make more groups than there may be.
            if not _locked():
                return
            _batch_place(batch, world, now)
        batch = _firing_after(batch[-1].id) if len(batch) == BATCH else []


def _firing_after(alert_id: UUID) -> list[Alert]:
    rows = Alert.objects.filter(state=AlertState.FIRING, id__gt=alert_id)
    return list(rows.only(*MATCHED_COLUMNS).order_by("id")[:BATCH])


def _locked() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _batch_place(batch: Sequence[Alert], world: PipelineNow, now: datetime) -> None:
    member = _memberships(batch)
    live, recent = _live(world.routes, now)
    grouper = Grouper(live, recent, {alert: set(places) for alert, places in member.items()})
    candidates = [Candidate(each.id, alert_labels(each), alert_check(each)) for each in batch]
    placed = run((*world.stages, grouper), candidates)
    _groups_keep(placed, member, world.routes, now)
    _held_keep(placed, batch, now)


def _memberships(batch: Sequence[Alert]) -> dict[UUID, dict[tuple[int, str], int]]:
    """For each alert the groups (route, key → id) that it is in."""
    rows = _Membership.objects.filter(alert_id__in=[each.id for each in batch])
    found: dict[UUID, dict[tuple[int, str], int]] = defaultdict(dict)
    for alert, group, route, key in rows.values_list(
        "alert_id", "alertgroup_id", "alertgroup__route_id", "alertgroup__key"
    ):
        found[alert][route, key] = group
    return found


def _live(
    routes: Mapping[int, RouteRule], now: datetime
) -> tuple[dict[int, set[str]], dict[int, int]]:
    """The keys of the groups of each route in which something goes on, and how many are new."""
    live: dict[int, set[str]] = defaultdict(set)
    recent: dict[int, int] = defaultdict(int)
    rows = AlertGroup.objects.filter(due_at__isnull=False, route_id__in=routes)
    for route, key, began in rows.values_list("route_id", "key", "created_at").iterator(BATCH):
        live[route].add(key)
        if now - routes[route].group_interval < began <= now and key != EVERYTHING_ELSE:
            recent[route] += 1
    return live, recent


def _groups_keep(
    placed: Sequence[Candidate],
    member: dict[UUID, dict[tuple[int, str], int]],
    routes: Mapping[int, RouteRule],
    now: datetime,
) -> None:
    """Bring the members of groups to what the candidates say, and wake the groups that grow."""
    joining: dict[tuple[int, str], list[UUID]] = defaultdict(list)
    labels: dict[tuple[int, str], dict[str, str]] = {}
    leaving: list[tuple[UUID, int]] = []
    for each in placed:
        wanted = {(place.route_id, place.key): place for place in each.places}
        there = member.get(each.id, {})
        leaving += [(each.id, group) for where, group in there.items() if where not in wanted]
        for where, place in wanted.items():
            if where not in there:
                joining[where].append(each.id)
                labels[where] = dict(place.labels)
    for alert, group in leaving:
        _Membership.objects.filter(alert_id=alert, alertgroup_id=group).delete()
    for where, alerts in joining.items():
        _group_join(routes[where[0]], where[1], labels[where], alerts, now)


def _group_join(
    route: RouteRule, key: str, labels: dict[str, str], alerts: Sequence[UUID], now: datetime
) -> None:
    due = now + route.group_wait
    group, _ = AlertGroup.objects.get_or_create(
        route_id=route.id,
        key=key,
        defaults={
            "labels": labels,
            "route_name": route.name,
            "created_at": now,
            "due_at": due,
        },
    )
    _Membership.objects.bulk_create(
        [_Membership(alertgroup_id=group.pk, alert_id=alert) for alert in alerts],
        ignore_conflicts=True,
    )
    # After the members are there, and whatever is read: whoever tells of the group now holds its
    # row, and must not put it to rest over them.
    AlertGroup.objects.filter(pk=group.pk).update(
        due_at=Coalesce(F("due_at"), Value(due)),
        created_at=Case(When(due_at=None, then=Value(now)), default=F("created_at")),
    )


def _held_keep(placed: Sequence[Candidate], batch: Sequence[Alert], now: datetime) -> None:
    """Keep why alerts are held, and say each change in the journal."""
    held = {each.id: [why.to_json() for why in each.held] for each in placed}
    changed = [each.id for each in batch if held[each.id] != each.suppressed_by]
    if not changed:
        return
    # Whoever ends or renews an alert right now has its row; the next turn comes back to it.
    rows = Alert.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        pk__in=changed, state=AlertState.FIRING
    )
    alerts = list(rows.order_by("pk"))
    silenced: dict[str, int] = defaultdict(int)
    for alert in alerts:
        for silence in _silences(held[alert.id]) - _silences(alert.suppressed_by):
            silenced[silence] += 1
        alert.suppressed_by = held[alert.id]
    Alert.objects.bulk_update(alerts, ["suppressed_by"])
    for silence, count in sorted(silenced.items()):
        Silence.objects.filter(pk=silence).update(held=F("held") + count, last_held_at=now)
    journal.append(list(_entries(alerts)))


def _silences(held: Sequence[dict[str, Any]]) -> set[str]:
    return {each["id"] for each in held if each["kind"] == "silence"}


def _entries(alerts: Sequence[Alert]) -> Iterator[journal.Entry]:
    for alert in alerts:
        yield journal.Entry(
            Topic.ALERTS,
            "alert.suppressed" if alert.suppressed_by else "alert.released",
            str(alert.pk),
            alert.state,
            alert.service,
            {**alert_journal_payload(alert), "suppressed_by": alert.suppressed_by},
        )
