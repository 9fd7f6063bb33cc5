"""Incidents follow alerts: those of one cause are joined, and an incident ends with the last of them.

It reads the rows of alerts, not events, so that nothing is lost while nobody follows: an alert that
fired and ended meanwhile becomes part of an incident all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from alerting.choices import AlertState, EntryKind, IncidentState
from alerting.domain.incidents import (
    OPENING,
    SEVERITIES,
    Keys,
    Seen,
    is_root,
    keys_of,
    title_of,
    worst,
)
from alerting.domain.ledger import Held
from alerting.models import Alert, Incident, IncidentEntry, IncidentKey
from alerting.selectors.incident_following import (
    BATCH,
    NAMES,
    Reached,
    alert_lines,
    alerts_to_join,
    begins,
    incident_ledger,
    incidents_kept_open,
    incidents_to_join,
    last_ends,
    titles,
)
from alerting.selectors.surroundings import surroundings
from alerting.services.incident_entries import (
    alert_entries,
    alert_words,
    ends_of_alerts,
    entries_add,
    entry,
)
from alerting.services.incident_journal import BEGAN, CHANGED, ENDED, incident_told
from alerting.services.incident_merging import incident_merge
from health.selectors.maintenance import covered_now
from resilience_site.core import journal
from resilience_site.core.formatting import duration

# How many transactions one call makes, each for a batch of alerts, and seconds after which it begins
# no more of them: what else waits for the worker must not wait for a storm.
_ROUNDS: Final = 20
TURN_SECONDS: Final = 3.0
MOST_SERVICES: Final = 50
MOST_NAME: Final = 255
# Alerts of incidents without a root that are asked about anew, the newest.
MOST_LEARNT: Final = 200
# Alerts beyond these are counted, but have no lines of their own in the timeline.
MOST_ALERT_ENTRIES: Final = 400
# Any constant that no other advisory lock of the site uses.
_LOCK: Final = 0x696E636964656E74


@dataclass
class Followed:
    """What one call did."""

    opened: int = 0
    joined: int = 0
    merged: int = 0
    reopened: int = 0
    ended: int = 0


def incidents_follow(*, now: datetime) -> Followed:
    """Make new alerts part of incidents, join incidents of one cause, end those that are over.

    Of two callers at a time, one does nothing. What a storm leaves over is taken by the next turn.
    """
    began = time.monotonic()
    done = Followed()
    reached = Reached()
    for _ in range(_ROUNDS):
        with transaction.atomic():
            if not _alone():
                break
            work = _Work(now, done)
            work.learn()
            work.take(reached)
            work.join()
            work.date()
            work.end()
            work.name()
            work.save()
        if not reached.more or time.monotonic() - began >= TURN_SECONDS:
            break
    return done


def seen_of(alert: Alert) -> Seen:
    """An alert as the domain looks at it."""
    return Seen(
        id=alert.id,
        rule=alert.rule_name,
        severity=str(alert.severity),
        labels=alert.labels,
        facts=alert.facts,
        # Other systems may name a service that the catalogue does not know: it is one all the same.
        service=alert.service or str(alert.labels.get("service") or "")[:MOST_NAME],
        started_at=alert.started_at,
        ended_at=alert.ended_at,
        summary=alert_words(alert),
    )


class _Work:
    """The incidents that alerts may become part of, and what becomes of them, until `save`."""

    def __init__(self, now: datetime, done: Followed) -> None:
        self.now = now
        self.done = done
        self.rows = {each.id: each for each in incidents_to_join(now)}
        self.ledger = incident_ledger(self.rows)
        self.keys: list[IncidentKey] = []
        self.entries: list[IncidentEntry] = []
        # What is told of each incident that changed, in this order.
        self.told: dict[UUID, list[str]] = {}
        # Those that got alerts: what these say of when they began is not written yet.
        self.grown: set[UUID] = set()
        self.gone: list[Incident] = []

    # --- Alerts

    def learn(self) -> None:
        """Ask again where incidents began of which that is not known: chains of errors are complete
        only a while after the first alert."""
        unknown = [
            each.id
            for each in self.rows.values()
            if each.ended_at is None and not any(map(is_root, self.ledger.get(each.id).keys))
        ]
        rows = Alert.objects.filter(incident__in=unknown, state=AlertState.FIRING)
        alerts = list(rows.order_by("-started_at", "-id")[:MOST_LEARNT]) if unknown else []
        seen = {each.id: seen_of(each) for each in alerts}
        around = surroundings(list(seen.values()), self.now)
        for alert in alerts:
            if around[alert.id].known:
                keys = keys_of(seen[alert.id], around[alert.id])
                self._point(self.rows[alert.incident_id], keys, seen[alert.id])  # type: ignore[index]

    def take(self, reached: Reached) -> None:
        """Make the next alerts part of incidents."""
        alerts = alerts_to_join(self.now, reached)
        seen = {each.id: seen_of(each) for each in alerts}
        around = surroundings(list(seen.values()), self.now)
        keys = {each: keys_of(seen[each], around[each]) for each in seen}
        joined: dict[UUID, list[Alert]] = {}
        # What names what fails before what it led to, which otherwise has nothing to join yet.
        for alert in sorted(
            alerts, key=lambda each: (each.severity not in OPENING, not keys[each.id].of_call)
        ):
            target = self._target(seen[alert.id], keys[alert.id])
            if target is not None:
                joined.setdefault(target.id, []).append(alert)
                self._point(target, keys[alert.id], seen[alert.id])
        groups: dict[UUID, list[Alert]] = {}
        for incident_id, some in joined.items():
            groups.setdefault(self._row(incident_id).id, []).extend(some)
        _attach(groups)
        lines = alert_lines(list(groups)) if groups else {}
        for incident_id, group in groups.items():
            room = max(0, MOST_ALERT_ENTRIES - lines.get(incident_id, 0))
            self._join(self.rows[incident_id], group, seen, room)

    def _target(self, alert: Seen, keys: Keys) -> Incident | None:
        """The incident that the alert is part of; a new one where it is of none and may open one."""
        found = [self.rows[each] for each in self.ledger.matching(alert, keys)]
        live = [each for each in found if each.ended_at is None]
        if live:
            for other in live[1:]:
                self._merge(live[0], other)
            return live[0]
        if alert.severity not in OPENING or self._in_maintenance(alert):
            return None
        return self._reopen(found[-1], alert) if found else self._open(alert)

    def _in_maintenance(self, alert: Seen) -> bool:
        """Whether somebody works on what the alert is of: should it still fire afterwards, it is
        looked at then."""
        return alert.ended_at is None and self._covered(_check_of(alert), alert.service)

    def _open(self, alert: Seen) -> Incident:
        # Stored at once: keys and entries refer to it.
        incident = Incident.objects.create(
            title=title_of([alert]),
            severity=alert.severity,
            started_at=alert.started_at,
            changed_at=self.now,
        )
        self.rows[incident.id] = incident
        begun = alert.started_at
        self.ledger.add(Held(incident.id, begun, begun, severity=alert.severity))
        self._tell(incident, BEGAN)
        self.done.opened += 1
        return incident

    def _reopen(self, incident: Incident, alert: Seen) -> Incident:
        if SEVERITIES.index(alert.severity) > SEVERITIES.index(incident.severity):
            # Less urgent than what is over: it would not keep the incident open.
            return incident
        if alert.ended_at is not None:
            # It was over before anybody followed: no more than a part of the account.
            incident.ended_at = max(incident.ended_at or alert.ended_at, alert.ended_at)
            return incident
        known = incident.acknowledged_at is not None
        incident.state = IncidentState.ACKNOWLEDGED if known else IncidentState.OPEN
        incident.ended_at = self.ledger.get(incident.id).ended_at = None
        self._say(incident, self.now, f"Open again: {alert.summary}", f"reopened:{alert.id}")
        self._tell(incident, CHANGED)
        self.done.reopened += 1
        return incident

    def _point(self, incident: Incident, keys: Keys, alert: Seen) -> None:
        held = self.ledger.get(incident.id)
        held.last_at = max(held.last_at, alert.started_at)
        held.severity = worst([held.severity, alert.severity])
        keys = held.adds(alert, keys)
        new = sorted(self.ledger.point(incident.id, keys.all))
        self.keys += [IncidentKey(incident=incident, key=key) for key in new]
        services = list(dict.fromkeys([*incident.services, *sorted(keys.services)]))
        if services[:MOST_SERVICES] != incident.services:
            self._tell(incident, CHANGED)
            incident.services = services[:MOST_SERVICES]
            # Its time is read again for what happened in them.
            incident.cursor = 0

    def _join(
        self, incident: Incident, alerts: Sequence[Alert], seen: dict[UUID, Seen], room: int
    ) -> None:
        self.done.joined += len(alerts)
        opening = [seen[each.id] for each in alerts if each.severity in OPENING]
        graver = worst(each.severity for each in opening)
        if opening and SEVERITIES.index(graver) < SEVERITIES.index(incident.severity):
            incident.severity, incident.title = graver, title_of(opening)
        self.grown.add(incident.id)
        for alert in alerts[:room]:
            self.entries += alert_entries(alert, incident.id)
        self._tell(incident, CHANGED)

    # --- Incidents

    def join(self) -> None:
        """Join open incidents of which it has turned out that they have one cause."""
        active = [each.id for each in self.rows.values() if each.ended_at is None]
        for older, younger in self.ledger.same_cause(active):
            self._merge(self.rows[older], self.rows[younger])

    def date(self) -> None:
        """Let those that got alerts begin when these say: an old ticket does not make an outage
        longer than it was."""
        for incident_id, at in begins(sorted(self.grown & set(self.rows))).items():
            self.rows[incident_id].started_at = at

    def _merge(self, kept: Incident, gone: Incident) -> None:
        self._flush()
        incident_merge(kept, gone, now=self.now)
        self.ledger.merge(kept.id, gone.id)
        del self.rows[gone.id]
        self.grown.add(kept.id)
        self.gone.append(gone)
        self._tell(kept, CHANGED)
        self._tell(gone, ENDED)
        self.done.merged += 1

    def _row(self, incident_id: UUID) -> Incident:
        """The incident, or that which it was merged into since."""
        moved = {each.id: each.merged_into_id for each in self.gone}
        while incident_id in moved:
            incident_id = moved[incident_id]  # type: ignore[assignment]
        return self.rows[incident_id]

    def end(self) -> None:
        """Tell of alerts that ended, and end the incidents whose most urgent ones are over."""
        self._flush()
        active = [each for each in self.rows.values() if each.ended_at is None]
        self.entries += ends_of_alerts([each.id for each in active], BATCH)
        standing = incidents_kept_open({each.id: each.severity for each in active})
        over = [each for each in active if each.id not in standing]
        ends = last_ends({each.id: each.severity for each in over})
        for incident in over:
            incident.state = IncidentState.RESOLVED
            incident.ended_at = max(ends.get(incident.id) or self.now, incident.started_at)
            lasted = duration((incident.ended_at - incident.started_at).total_seconds())
            text = f"All alerts are over; the incident ended after {lasted}."
            self._say(incident, incident.ended_at, text, f"ended:{incident.ended_at.isoformat()}")
            self._tell(incident, ENDED)
            self.done.ended += 1
        self._call(titles(over))

    def name(self) -> None:
        """Let those that go on be called by what fires: what is over is not what they are about."""
        active = [each for each in self.rows.values() if each.ended_at is None]
        self._call(titles(active, self.now - NAMES))

    def _call(self, found: Mapping[UUID, str]) -> None:
        for incident_id, title in found.items():
            if (incident := self.rows[incident_id]).title != title:
                incident.title = title
                self._tell(incident, CHANGED)

    def save(self) -> None:
        """Write what changed, and tell the journal last."""
        self._flush()
        told = []
        gone = {each.id: each for each in self.gone}
        for incident_id, kinds in self.told.items():
            incident = self.rows.get(incident_id)
            if incident is None:
                merged = gone[incident_id]
                told.append(incident_told(merged, ENDED, merged_into=str(merged.merged_into_id)))
                continue
            incident.version += 1
            incident.changed_at = max(self.now, incident.changed_at)
            incident.save()
            told += [incident_told(incident, kind) for kind in kinds]
        journal.append(told)

    # --- What they share

    @cached_property
    def _covered(self) -> Callable[[UUID, str], bool]:
        return covered_now(self.now)

    def _flush(self) -> None:
        IncidentKey.objects.bulk_create(self.keys, ignore_conflicts=True, batch_size=1_000)
        entries_add(self.entries)
        self.keys, self.entries = [], []

    def _say(self, incident: Incident, at: datetime, text: str, ref: str) -> None:
        self.entries.append(entry(incident.id, EntryKind.STATE, at, text, ref=f"state:{ref}"))

    def _tell(self, incident: Incident, kind: str) -> None:
        kinds = self.told.setdefault(incident.id, [])
        # A new incident says all that it is with its first word.
        if kind not in kinds and not (kind == CHANGED and BEGAN in kinds):
            kinds.append(kind)


# --- Reads and writes -------------------------------------------------------------------------


def _alone() -> bool:
    """Whether no other worker follows until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _attach(groups: Mapping[UUID, Sequence[Alert]]) -> None:
    """Write which incident the alerts are of: one query for all incidents, as a storm has hundreds."""
    pairs = [(each.id, incident_id) for incident_id, group in groups.items() for each in group]
    if not pairs:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE alerting_alert SET incident_id = found.incident_id "
            "FROM unnest(%s::uuid[], %s::uuid[]) AS found (id, incident_id) "
            "WHERE alerting_alert.id = found.id",
            [list(each) for each in zip(*pairs, strict=True)],
        )


def _check_of(alert: Seen) -> UUID:
    """The check that the alert is of; an id that no check has where it is of none."""
    try:
        return UUID(str(alert.labels.get("check_id")))
    except ValueError:
        return UUID(int=0)
