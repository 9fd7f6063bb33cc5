"""The body of a webhook: Alertmanager's version 4, so that its receivers can read it, and more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from alerting.channels.base import Envelope
from alerting.domain.incident_brief import cause_words
from alerting.domain.messages import AlertTold, IncidentTold, Message
from resilience_site.config import config
from resilience_site.core.numbers import within_64_bits

# How Alertmanager writes that an alert has not ended.
_NOT_ENDED: Final = "0001-01-01T00:00:00Z"
# Bytes; receivers commonly refuse bodies that are larger.
MOST_BYTES: Final = 200_000


def body_of(envelope: Envelope) -> bytes:
    """The same bytes for each attempt of a delivery; alerts beyond `MOST_BYTES` are counted."""
    message = envelope.message
    body = _encoded(envelope, message)
    while len(body) > MOST_BYTES and message.alerts:
        kept = message.alerts[: len(message.alerts) // 2]
        left = message.left_out + len(message.alerts) - len(kept)
        message = replace(message, alerts=kept, left_out=left)
        body = _encoded(envelope, message)
    return body


def _encoded(envelope: Envelope, message: Message) -> bytes:
    why = message.why
    labels = [each.labels for each in message.alerts]
    incidents = {each.url: each for each in message.incidents}
    annotations = [_annotations(each, incidents) for each in message.alerts]
    return orjson.dumps(
        {
            "version": "4",
            "groupKey": message.group_key,
            "truncatedAlerts": message.left_out,
            "status": message.status,
            "receiver": envelope.channel,
            "groupLabels": dict(why.group_labels) if why else {},
            "commonLabels": _common(labels),
            "commonAnnotations": _common(annotations),
            "externalURL": config.resilience_public_url,
            "alerts": [
                _alert(each, said) for each, said in zip(message.alerts, annotations, strict=True)
            ],
            # What is beyond Alertmanager's form.
            "type": envelope.happening,
            "timestamp": _time(envelope.created_at),
            "purpose": str(envelope.purpose),
            "severity": message.severity,
            "title": message.title,
            "text": message.text,
            "url": message.url,
            "incidents": [asdict(each) for each in message.incidents],
            "why": {
                "occasion": why.occasion,
                "text": message.why_sent,
                "route": why.route,
                "matchers": why.matchers,
            }
            if why
            else None,
        },
        option=orjson.OPT_NON_STR_KEYS,
    )


def _alert(alert: AlertTold, annotations: Mapping[str, str]) -> dict[str, Any]:
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": annotations,
        "startsAt": _time(alert.started_at),
        "endsAt": _time(alert.ended_at) if alert.ended_at else _NOT_ENDED,
        "generatorURL": alert.url,
        "fingerprint": alert.fingerprint,
        # What is beyond Alertmanager's form.
        "id": alert.id,
        "rule": alert.rule,
        "severity": alert.severity,
        "incidentURL": alert.incident_url,
        "facts": within_64_bits(alert.facts),
    }


def _annotations(alert: AlertTold, incidents: Mapping[str, IncidentTold]) -> dict[str, str]:
    """The texts of an alert, with what is known of its incident: receivers show them all."""
    incident = incidents.get(alert.incident_url)
    found = {
        "summary": alert.summary,
        "description": alert.details,
        "runbook_url": alert.runbook_url,
        "incident_url": alert.incident_url,
        "probable_cause": cause_words(incident) if incident and incident.cause else "",
        "impact": incident.impact if incident else "",
    }
    return {name: text for name, text in found.items() if text}


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike."""
    if not maps:
        return {}
    return {
        name: value
        for name, value in maps[0].items()
        if all(each.get(name) == value for each in maps[1:])
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
