"""Alerts that fire are routed, held back or not, and put into groups.

This follows how things stand, not what has happened: every alert that fires is looked at whenever a
route, a silence or anything else that it is judged by has changed, and again before long, so that a
process that died needs no care of its own. Memory is bounded by the size of a batch, queries by the
number of batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce

from alerting.choices import AlertState, Severity
from alerting.domain.grouping import Grouper, is_everything_else
from alerting.domain.pipeline import Candidate, Place, Where, run
from alerting.domain.routing import RouteRule
from alerting.models import Alert, AlertGroup, Notified, Silence
from alerting.selectors.alerts import URGENCY
from alerting.selectors.labels import LABEL_COLUMNS, alert_check, alert_labels
from alerting.selectors.pipeline import PipelineNow, pipeline_now
from alerting.services.alerts import alert_journal_payload
from resilience_site.core import journal
from resilience_site.core.choices import Topic

BATCH: Final = 1_000
# As long as nothing else has changed, alerts are looked at again this often.
AGAIN: Final = timedelta(seconds=30)
# A change may be committed so much later than the time that it bears.
_LATE: Final = timedelta(seconds=60)
# So many are remembered as placed; more are looked at again.
_MOST_PLACED: Final = 20_000
# Any constant that no other advisory lock of the site uses.
_LOCK: Final = 0x706C616365
_Membership = AlertGroup.alerts.through
_URGENCY: Final = {each: n for n, each in enumerate(Severity.values)}
# How urgent an alert is, and its id: the order in which alerts are looked at.
_Order = tuple[int, UUID]
_FIRST: Final[_Order] = (-1, UUID(int=0))
_COLUMNS: Final = (*LABEL_COLUMNS, "suppressed_by", "changed_at")


@dataclass(frozen=True)
class _Seen:
    """The last time that this process looked at all alerts that fire, and by what it judged."""

    at: datetime
    standing: PipelineNow


class _Memory:
    """What it saves is work alone: another process, or this one anew, does it once more.

    `placed` are the alerts that need not be looked at again as they were then: when they had changed
    last, and their incident. In a storm, each turn would else look at all of the last minute again.
    """

    seen: _Seen | None = None
    placed: ClassVar[dict[UUID, tuple[datetime, UUID | None]]] = {}


def alerts_place(*, now: datetime) -> None:
    """Put each alert that fires into its groups, and say of each why nobody is told of it.

    Where routes, silences and the rest are as they were, only what has changed of late is looked at.
    """
    if not Alert.objects.filter(state=AlertState.FIRING).exists():
        return
    standing, seen = pipeline_now(now), _Memory.seen
    known = seen and seen.standing == standing and timedelta() <= now - seen.at < AGAIN
    changed_from = seen.at - _LATE if seen and known else None
    if changed_from is None:
        _Memory.seen = None
        _Memory.placed.clear()
    for batch in _batches(changed_from):
        with transaction.atomic():
            # Two that place at a time would make more groups than there may be.
            if not _locked():
                return
            placed = _batch_place(batch, standing, now)
        _remember(placed, changed_from or now - _LATE)
    if changed_from is None:
        _Memory.seen = _Seen(now, standing)


def _batches(changed_from: datetime | None) -> Iterator[Sequence[Alert]]:
    """All that fires, or what changed since then and is not placed yet. The most urgent come first: in
    a storm they get the groups that there may be."""
    rows = Alert.objects.alias(urgency=URGENCY).filter(state=AlertState.FIRING)
    rows = rows.order_by("urgency", "id")
    if changed_from is not None:
        changed = rows.filter(changed_at__gte=changed_from)
        stands = changed.values_list("id", "changed_at", "incident_id").iterator(BATCH)
        new = [each for each, at, of in stands if _Memory.placed.get(each) != (at, of)]
        for n in range(0, len(new), BATCH):
            if batch := list(rows.filter(pk__in=new[n : n + BATCH]).only(*_COLUMNS)):
                yield batch
        return
    urgency, alert_id = _FIRST
    while batch := list(
        rows.filter(Q(urgency__gt=urgency) | Q(urgency=urgency, id__gt=alert_id)).only(*_COLUMNS)[
            :BATCH
        ]
    ):
        yield batch
        if len(batch) < BATCH:
            return
        urgency, alert_id = _order(batch[-1])


def _remember(alerts: Iterable[Alert], since: datetime) -> None:
    """Those that the next turns would else look at again."""
    for alert in alerts:
        if alert.changed_at >= since and len(_Memory.placed) < _MOST_PLACED:
            _Memory.placed[alert.pk] = alert.changed_at, alert.incident_id


def _order(alert: Alert) -> _Order:
    return _URGENCY.get(alert.severity, len(_URGENCY)), alert.id


def _locked() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _batch_place(batch: Sequence[Alert], world: PipelineNow, now: datetime) -> list[Alert]:
    """Those of which all could be written; of others the row was held by somebody else."""
    member = _memberships(batch)
    live, recent = _live(world.routes, now)
    candidates = [
        Candidate(each.id, alert_labels(each), alert_check(each), each.fired_at) for each in batch
    ]
    routed = run(world.stages, candidates)
    grouper = Grouper(
        live,
        recent,
        {alert: set(places) for alert, places in member.items()},
        routes=world.routes,
        told=_told(routed, member),
    )
    placed = run((grouper,), routed)
    _groups_keep(placed, member, world.routes, now)
    left = _held_keep(placed, batch, now)
    return [each for each in batch if each.id not in left]


def _memberships(batch: Sequence[Alert]) -> dict[UUID, dict[Where, int]]:
    """For each alert the ids of the groups that it is in."""
    rows = _Membership.objects.filter(alert_id__in=[each.id for each in batch])
    found: dict[UUID, dict[Where, int]] = defaultdict(dict)
    for alert, group, route, key in rows.values_list(
        "alert_id", "alertgroup_id", "alertgroup__route_id", "alertgroup__key"
    ):
        found[alert][route, key] = group
    return found


def _told(
    routed: Sequence[Candidate], member: Mapping[UUID, Mapping[Where, int]]
) -> dict[UUID, list[Place]]:
    """For each alert that is in a group of its routes other than they say now, those of these groups
    in which somebody was told of it."""
    moving: dict[int, list[UUID]] = defaultdict(list)
    for each in routed:
        wanted = {place.where for place in each.places}
        routes = {place.route_id for place in each.places}
        for (route, key), group in member.get(each.id, {}).items():
            if route in routes and (route, key) not in wanted and not is_everything_else(key):
                moving[group].append(each.id)
    if not moving:
        return {}
    # Whoever tells of one of them now holds its row: what came of that is read afterwards.
    rows = AlertGroup.objects.select_for_update(no_key=True).filter(pk__in=moving).order_by("pk")
    groups = {
        pk: Place(route, key, labels)
        for pk, route, key, labels in rows.values_list("pk", "route_id", "key", "labels")
    }
    known: dict[int, set[str]] = defaultdict(set)
    log = Notified.objects.filter(group_id__in=groups)
    for group, firing in log.values_list("group_id", "firing"):
        known[group].update(firing)
    told: dict[UUID, list[Place]] = defaultdict(list)
    for group, place in groups.items():
        for alert in moving[group]:
            if str(alert) in known[group]:
                told[alert].append(place)
    return told


def _live(
    routes: Mapping[int, RouteRule], now: datetime
) -> tuple[dict[int, set[str]], dict[int, set[str]]]:
    """The keys of the groups of each route in which something goes on, and of those that are new."""
    live: dict[int, set[str]] = defaultdict(set)
    recent: dict[int, set[str]] = defaultdict(set)
    rows = AlertGroup.objects.filter(due_at__isnull=False, route_id__in=routes)
    for route, key, began in rows.values_list("route_id", "key", "created_at").iterator(BATCH):
        live[route].add(key)
        if now - routes[route].group_interval < began <= now and not is_everything_else(key):
            recent[route].add(key)
    return live, recent


def _groups_keep(
    placed: Sequence[Candidate],
    member: dict[UUID, dict[Where, int]],
    routes: Mapping[int, RouteRule],
    now: datetime,
) -> None:
    """Bring the members of groups to what the candidates say, and wake the groups that grow."""
    joining: list[tuple[UUID, Place]] = []
    leaving: dict[int, list[UUID]] = defaultdict(list)
    for each in placed:
        wanted = {place.where: place for place in each.places}
        there = member.get(each.id, {})
        for where, group in there.items():
            if where not in wanted:
                leaving[group].append(each.id)
        joining += [(each.id, place) for where, place in wanted.items() if where not in there]
    for group, alerts in leaving.items():
        _Membership.objects.filter(alertgroup_id=group, alert_id__in=alerts).delete()
    if joining:
        due = {place.where: now + routes[place.route_id].group_wait for _, place in joining}
        for where, at in _waited_for(joining, leaving):
            due[where] = min(due[where], at)
        _groups_join(joining, routes, due, now)


def _waited_for(
    joining: Sequence[tuple[UUID, Place]], leaving: Mapping[int, Sequence[UUID]]
) -> Iterator[tuple[Where, datetime]]:
    """When what joins would have been told of for the first time where it was: it has waited already,
    and does not begin to wait again."""
    if not leaving:
        return
    first = Q(last_flush_at=None) | Q(last_flush_at__lt=F("created_at"))
    rows = AlertGroup.objects.filter(first, pk__in=leaving, due_at__isnull=False)
    since = {
        (alert, route): due
        for group, route, due in rows.values_list("pk", "route_id", "due_at")
        for alert in leaving[group]
    }
    for alert, place in joining:
        if (at := since.get((alert, place.route_id))) is not None:
            yield place.where, at


def _groups_join(
    joining: Sequence[tuple[UUID, Place]],
    routes: Mapping[int, RouteRule],
    due: Mapping[Where, datetime],
    now: datetime,
) -> None:
    """`due` is when each group is told of for the first time, if it is new or was at rest."""
    places = {place.where: place for _, place in joining}
    AlertGroup.objects.bulk_create(
        [
            AlertGroup(
                route_id=each.route_id,
                key=each.key,
                labels=dict(each.labels),
                route_name=routes[each.route_id].name,
                created_at=now,
                due_at=due[each.where],
            )
            for each in places.values()
        ],
        ignore_conflicts=True,
    )
    rows = AlertGroup.objects.filter(
        route_id__in={route for route, _ in places}, key__in={key for _, key in places}
    )
    groups = {(route, key): pk for pk, route, key in rows.values_list("pk", "route_id", "key")}
    _Membership.objects.bulk_create(
        [
            _Membership(alertgroup_id=groups[place.where], alert_id=alert)
            for alert, place in joining
        ],
        ignore_conflicts=True,
    )
    for at in sorted(set(due.values())):
        # After the members are there, and whatever is read: whoever tells of a group now holds its
        # row, and must not put it to rest over them.
        joined = [groups[where] for where in places if due[where] == at]
        AlertGroup.objects.filter(pk__in=joined).update(
            due_at=Coalesce(F("due_at"), Value(at)),
            created_at=Case(When(due_at=None, then=Value(now)), default=F("created_at")),
        )


def _held_keep(placed: Sequence[Candidate], batch: Sequence[Alert], now: datetime) -> set[UUID]:
    """Keep why alerts are held, and say each change in the journal; of which it could not be kept."""
    held = {each.id: [why.to_json() for why in each.held] for each in placed}
    changed = [each.id for each in batch if held[each.id] != each.suppressed_by]
    if not changed:
        return set()
    # Whoever ends or renews an alert right now has its row; the next turn comes back to it.
    rows = Alert.objects.select_for_update(skip_locked=True, of=("self",), no_key=True).filter(
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
    return set(changed) - {each.id for each in alerts}


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
