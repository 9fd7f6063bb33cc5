"""Alerts begin, fire and end: the one door for everybody who raises them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from alerting.choices import AlertSource, AlertState
from alerting.domain.alerts import AlertChange
from alerting.models import Alert
from resilience_site.core import journal
from resilience_site.core.choices import Topic

# Any constant that no other advisory lock of the site uses.
_LOCK = 0x616C65727473
_BATCH = 1000
_OTHER_SYSTEMS = (AlertSource.ALERTMANAGER, AlertSource.GRAFANA)
# Incidents and reports keep what they need of alerts for longer.
KEPT = timedelta(days=90)
# Of many alerts at once: an update by Django writes each value into a case of its own, which takes
# a minute for ten thousand of them.
_UPDATE = """
UPDATE alerting_alert AS alert SET state = new.state, facts = new.facts,
    annotations = new.annotations, fired_at = new.fired_at, ended_at = new.ended_at,
    changed_at = new.changed_at
FROM unnest(%s::uuid[], %s::text[], %s::jsonb[], %s::jsonb[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[]) AS new (id, state, facts, annotations, fired_at, ended_at, changed_at)
WHERE alert.id = new.id
"""


def alerts_apply(changes: Sequence[AlertChange], *, now: datetime) -> list[Alert]:
    """Apply `changes` in their order; gives the alerts whose state they changed, as they are now.

    What has happened already changes nothing, so that the same changes may come again: a second
    `fire` only renews the facts, and the texts where another system writes them; `refresh` and
    `resolve` of an alert that is not open do nothing. An alert that ends before it fired is deleted,
    as nobody was told and nothing came of it. Each change of a state stands in the journal
    (`alert.pending`, `alert.firing`, `alert.resolved`; one that never fired ends with `fired_at`
    null), so that routing and incidents follow from there.

    Inside a transaction, call it last and before anything else that writes to the journal.
    """
    if not changes:
        return []
    with transaction.atomic():
        with connection.cursor() as cursor:
            # One writer at a time: two that open the same alert would collide.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        batch = _Batch(_open_alerts({each.fingerprint for each in changes}), now)
        for change in changes:
            batch.apply(change)
        batch.save()
    return list(batch.changed.values())


def alerts_prune(*, now: datetime) -> int:
    """Delete alerts that were over `KEPT` ago, in short transactions; how many."""
    deleted = 0
    while True:
        over = Alert.objects.filter(ended_at__lt=now - KEPT).order_by("ended_at")
        some = list(over.values_list("pk", flat=True)[:_BATCH])
        if some:
            Alert.objects.filter(pk__in=some).delete()
        deleted += len(some)
        if len(some) < _BATCH:
            return deleted


def alert_journal_payload(alert: Alert) -> dict[str, Any]:
    """What the journal says of an alert, in every entry about it."""
    return {
        "rule": alert.rule_name,
        "severity": alert.severity,
        "labels": alert.labels,
        "service": alert.service,
        "source": alert.source,
        "started_at": _iso(alert.started_at),
        "fired_at": _iso(alert.fired_at),
        "ended_at": _iso(alert.ended_at),
        "facts": alert.facts,
        "incident_id": str(alert.incident_id) if alert.incident_id else None,
    }


class _Batch:
    """The alerts that one call touches, in memory until `save`."""

    def __init__(self, found: Mapping[str, Alert], now: datetime) -> None:
        self.open = dict(found)
        self.stored = {each.pk for each in found.values()}
        self.now = now
        # By id, in the order in which they were touched.
        self.touched: dict[UUID, Alert] = {}
        self.changed: dict[UUID, Alert] = {}
        self.entries: list[journal.Entry] = []

    def apply(self, change: AlertChange) -> None:
        alert = self.open.get(change.fingerprint)
        match change.happening:
            case "begin" if alert is None:
                self._move(self._new(change), AlertState.PENDING)
            case "fire" if alert is None or alert.state == AlertState.PENDING:
                self._fire(alert or self._new(change), change)
            case "resolve" if alert is not None:
                self._resolve(alert, change)
            case "resolve":
                pass
            case _ if alert is not None:
                self._refresh(alert, change)

    def save(self) -> None:
        """Old rows go first: a new alert of the same labels may have taken their place."""
        unfired = [each for each in self.touched.values() if _never_fired(each)]
        kept = [each for each in self.touched.values() if not _never_fired(each)]
        gone = [each.pk for each in unfired if each.pk in self.stored]
        if gone:
            Alert.objects.filter(pk__in=gone).delete()
        _update([each for each in kept if each.pk in self.stored])
        new = [each for each in kept if each.pk not in self.stored]
        Alert.objects.bulk_create(new, batch_size=_BATCH)
        journal.append(self.entries)

    def _new(self, change: AlertChange) -> Alert:
        alert = Alert(
            rule_id=change.rule_id,
            rule_name=change.rule_name,
            source=change.source,
            fingerprint=change.fingerprint,
            labels=dict(change.labels),
            severity=change.severity,
            service=change.service,
            started_at=change.started_at,
            facts=dict(change.facts),
        )
        self.open[alert.fingerprint] = alert
        return alert

    def _fire(self, alert: Alert, change: AlertChange) -> None:
        alert.fired_at = change.at
        alert.facts = {**alert.facts, **change.facts}
        alert.annotations = dict(change.annotations)
        self._move(alert, AlertState.FIRING)

    def _resolve(self, alert: Alert, change: AlertChange) -> None:
        # An end before the beginning, as another system's clock may say it, is the beginning.
        alert.ended_at = max(change.at, alert.fired_at or alert.started_at)
        alert.facts = {**alert.facts, **change.facts}
        del self.open[alert.fingerprint]
        self._move(alert, AlertState.RESOLVED)

    def _refresh(self, alert: Alert, change: AlertChange) -> None:
        facts = {**alert.facts, **change.facts}
        texts = _texts_now(alert, change)
        if (facts, texts) != (alert.facts, alert.annotations):
            alert.facts, alert.annotations = facts, texts
            self.touched[alert.pk] = alert

    def _move(self, alert: Alert, state: AlertState) -> None:
        alert.state = state
        alert.changed_at = self.now
        self.touched[alert.pk] = alert
        self.changed[alert.pk] = alert
        self.entries.append(
            journal.Entry(
                Topic.ALERTS,
                f"alert.{state}",
                str(alert.pk),
                state,
                alert.service,
                alert_journal_payload(alert),
            )
        )


def _update(alerts: Sequence[Alert]) -> None:
    """Write what may change of alerts that are stored."""
    rows = [
        (
            each.pk,
            str(each.state),
            json.dumps(each.facts),
            json.dumps(each.annotations),
            each.fired_at,
            each.ended_at,
            each.changed_at,
        )
        for each in alerts
    ]
    for start in range(0, len(rows), _BATCH):
        with connection.cursor() as cursor:
            cursor.execute(
                _UPDATE,
                [list(column) for column in zip(*rows[start : start + _BATCH], strict=True)],
            )


def _open_alerts(fingerprints: set[str]) -> dict[str, Alert]:
    found = (
        Alert.objects.filter(fingerprint__in=sorted(fingerprints))
        .exclude(state=AlertState.RESOLVED)
        .order_by("fingerprint")
        .select_for_update(no_key=True)
    )
    return {each.fingerprint: each for each in found}


def _texts_now(alert: Alert, change: AlertChange) -> dict[str, str]:
    """The texts of an alert that fires already: another system's say how things stand now, those of
    this site what it saw when the alert began."""
    theirs = change.happening == "fire" and change.source in _OTHER_SYSTEMS
    return dict(change.annotations if theirs and change.annotations else alert.annotations)


def _never_fired(alert: Alert) -> bool:
    return alert.state == AlertState.RESOLVED and alert.fired_at is None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
