"""Alerts of other systems in the API."""

from __future__ import annotations

from typing import Any, Final

from ninja import Field, Schema

from alerting.domain.inbound.posts import MOST_ALERTS

_TEXTS: Final[dict[str, Any]] = {"type": "object", "additionalProperties": {"type": "string"}}
_LINK: Final[dict[str, Any]] = {"type": "string", "description": "A whole http or https URL"}
_TIME: Final[dict[str, Any]] = {
    "type": ["string", "null"],
    "description": "RFC 3339; empty, or the zero time of Go, stands for none",
}
_ALERT: Final[dict[str, Any]] = {
    "status": {"type": "string", "enum": ["firing", "resolved"]},
    "labels": {**_TEXTS, "minProperties": 1, "description": "What an alert is known by again"},
    "annotations": {**_TEXTS, "type": ["object", "null"], "description": "Such as summary"},
    "startsAt": _TIME,
    "endsAt": _TIME,
    "generatorURL": _LINK,
}
_OF_GRAFANA: Final[dict[str, Any]] = {
    "values": {
        "type": ["object", "null"],
        "additionalProperties": {"type": ["number", "null"]},
        "description": "What its expressions came to",
    },
    **dict.fromkeys(("dashboardURL", "panelURL", "silenceURL", "imageURL"), _LINK),
}


def _post(title: str, alert: dict[str, Any]) -> dict[str, Any]:
    """The form of a post; whatever else a sender tells is passed over."""
    return {
        "title": title,
        "type": "object",
        "required": ["alerts"],
        "properties": {
            "alerts": {
                "type": "array",
                "maxItems": MOST_ALERTS,
                "items": {"type": "object", "required": ["status", "labels"], "properties": alert},
            },
            "truncatedAlerts": {"type": "integer", "description": "Alerts that were left out"},
            "receiver": {"type": "string"},
            "externalURL": _LINK,
        },
    }


ALERTMANAGER_POST: Final = _post("A post of Alertmanager's webhook, version 4", _ALERT)
GRAFANA_POST: Final = _post("A post of Grafana's webhook", {**_ALERT, **_OF_GRAFANA})


class InboundOut(Schema):
    """What a post came to."""

    firing: int = Field(description="Alerts of the post that fire")
    resolved: int = Field(description="Alerts that it ended")
    unknown: int = Field(description="Resolved ones that were not open here")
    left_out: int = Field(description="Alerts that the sender left out of the post")
    labels_left_out: int = Field(
        description="Labels beyond the 64 that an alert keeps; those that say its name, severity, "
        "service and place are kept first, and its label labels_left_out stands for the rest"
    )
