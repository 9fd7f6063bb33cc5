"""Alerts of other systems: taken from their posts, and ended when they are told no more.

An alert is known by the sender's own labels. It ends when the sender says so, or when nothing is
heard of it for `RESILIENCE_INBOUND_ALERT_HOURS`: senders repeat what goes on (Alertmanager and
Grafana every four hours), so one that they do not repeat is theirs no longer. Told again after
that, it is a new alert; a post that comes twice changes nothing. Only the key that told last that
it fires can end it: two systems with the same labels do not end each other's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerting.choices import AlertSource, AlertState
from alerting.domain.alerts import AlertChange
from alerting.domain.inbound import terms
from alerting.domain.inbound.posts import MOST_LABELS, Post, PostedAlert, Unreadable, post_read
from alerting.models import Alert
from alerting.services.alerts import alerts_apply
from health.models import Service
from resilience_site.config import config
from resilience_site.core.problems import FieldError, Invalid

logger = logging.getLogger(__name__)

_FORMS = {
    AlertSource.ALERTMANAGER: "Alertmanager's webhook of version 4",
    AlertSource.GRAFANA: "Grafana's webhook of contact points",
}
SOURCES = tuple(_FORMS)


@dataclass(frozen=True)
class Taken:
    """What a post came to: alerts that fire, those that it ended, resolved ones that were not open
    here, and how many its sender had left out of it; and how many labels were too many for their
    alerts."""

    firing: int
    resolved: int
    unknown: int
    left_out: int
    labels_left_out: int = 0


def inbound_take(*, document: Any, source: AlertSource, sender: str, now: datetime) -> Taken:
    """Take the post `document` of `source`; `sender` is the name of the key that brought it.

    Raises `Invalid`, with the place of each fault; then nothing of it is taken.
    """
    try:
        post = post_read(document, _FORMS[source])
    except Unreadable as error:
        errors = [FieldError(_place(each.place), f"{each.message}.") for each in error.faults]
        raise Invalid(f"{error}.", errors) from None
    if post.left_out:
        logger.warning("%s of %s left out %d alerts of a post", source, sender, post.left_out)
    labels_left_out = sum(each.labels_left_out for each in post.alerts)
    if labels_left_out:
        logger.warning(
            "%s of %s: %d labels were left out, as an alert keeps %d",
            source, sender, labels_left_out, MOST_LABELS,
        )  # fmt: skip
    batch = _Batch(post, source, sender, now)
    alerts_apply(batch.changes, now=now)
    return Taken(batch.firing, batch.resolved, batch.unknown, post.left_out, labels_left_out)


def inbound_expire(*, now: datetime) -> int:
    """End the alerts of other systems of which nothing was heard for too long; how many."""
    hours = config.resilience_inbound_alert_hours
    oldest = now - timedelta(hours=hours)
    ended = [
        _change("resolve", alert, now, {"ended_because": f"not repeated for {hours} h"})
        for alert in _open(SOURCES)
        if _last_heard(alert) < oldest
    ]
    alerts_apply(ended, now=now)
    return len(ended)


class _Batch:
    """The changes that a post means."""

    def __init__(self, post: Post, source: AlertSource, sender: str, now: datetime) -> None:
        self.changes: list[AlertChange] = []
        self.firing = self.resolved = self.unknown = 0
        self._source, self._sender, self._now = source, sender, now
        self._of_post = {
            "received_from": sender,
            "receiver": post.receiver,
            "external_url": post.external_url,
        }
        keys = [terms.sender_key(source, each.labels) for each in post.alerts]
        self._open = {
            str(alert.facts["sender_key"]): alert
            for alert in _open([source]).filter(facts__sender_key__in=sorted(set(keys)))
        }
        self._begun: dict[str, AlertChange] = {}
        self._catalogue = _known(post.alerts)
        for key, each in zip(keys, post.alerts, strict=True):
            if each.status == "firing":
                self._fire(key, each)
            else:
                self._resolve(key, each)

    def _fire(self, key: str, posted: PostedAlert) -> None:
        self.firing += 1
        known = self._open.get(key) or self._begun.get(key) or self._new(posted)
        change = _change("fire", known, self._now, self._facts(key, posted))
        change = replace(change, annotations=terms.texts_of(posted))
        self._begun.setdefault(key, change)
        self.changes.append(change)

    def _new(self, posted: PostedAlert) -> AlertChange:
        service = terms.service_of(posted.labels, self._catalogue)
        severity = terms.severity_of(posted.labels)
        labels = terms.labels_here(
            posted.labels, source=self._source, severity=severity, service=service
        )
        return AlertChange(
            happening="fire",
            at=self._now,
            labels=labels,
            rule_name=terms.rule_name_of(posted.labels),
            severity=severity,
            started_at=min(posted.started_at or self._now, self._now),
            service=service,
            source=self._source,
        )

    def _resolve(self, key: str, posted: PostedAlert) -> None:
        known = self._open.get(key) or self._begun.get(key)
        ended = min(posted.ended_at or self._now, self._now)
        # What ended before this one began was an earlier one, told late; and what another key told
        # last is for that one to end.
        elsewhere = known is not None and known.facts.get("received_from") != self._sender
        if known is None or elsewhere or ended < known.started_at:
            self.unknown += 1
            return
        self.resolved += 1
        self._open.pop(key, None)
        self._begun.pop(key, None)
        facts = {**self._facts(key, posted), "ended_because": "told by the sender"}
        self.changes.append(_change("resolve", known, ended, facts))

    def _facts(self, key: str, posted: PostedAlert) -> dict[str, Any]:
        return {
            **{name: value for name, value in self._of_post.items() if value},
            **posted.links,
            **({"values": dict(posted.values)} if posted.values else {}),
            "sender_key": key,
            "last_received_at": self._now.isoformat(),
        }


def _change(
    happening: Any, of: Alert | AlertChange, at: datetime, facts: Mapping[str, Any]
) -> AlertChange:
    """What happens to an alert that is there already."""
    return AlertChange(
        happening=happening,
        at=at,
        labels=of.labels,
        rule_name=of.rule_name,
        severity=of.severity,
        started_at=of.started_at,
        facts=facts,
        service=of.service,
        source=of.source,
    )


def _open(sources: Iterable[str]) -> Any:
    return Alert.objects.filter(source__in=list(sources)).exclude(state=AlertState.RESOLVED)


def _last_heard(alert: Alert) -> datetime:
    told = alert.facts.get("last_received_at")
    return datetime.fromisoformat(told) if told else alert.changed_at


def _known(alerts: Iterable[PostedAlert]) -> frozenset[str]:
    """Which of the services that the alerts may name are in the catalogue."""
    names = {name for each in alerts for name in terms.service_names(each.labels)}
    return frozenset(Service.objects.filter(name__in=sorted(names)).values_list("name", flat=True))


def _place(place: str) -> str:
    return place if place == "body" else f"body.{place}"
