"""What is told: one message to one channel, in the form that the outbox keeps.

It knows nothing of e-mail, Slack or the others: `alerting.channels` renders it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, cast

Status = Literal["firing", "resolved"]
# Why a group is told now; the order is that of precedence.
Occasion = Literal["first", "grown", "resolved", "shrunk", "repeated"]


@dataclass(frozen=True)
class AlertTold:
    """An alert as it is told: its texts are ready, its links are whole URLs."""

    id: str
    rule: str
    status: Status
    severity: str
    labels: Mapping[str, str]
    summary: str
    started_at: datetime
    fingerprint: str
    ended_at: datetime | None = None
    details: str = ""
    runbook_url: str = ""
    # Of the alert and of its incident on this site.
    url: str = ""
    incident_url: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IncidentTold:
    """The incident of alerts as it is known when they are told; `url` is whole.

    `cause` is one sentence, and `evidence` what else speaks for it, the strongest first; `impact`
    is what it touched. Each is empty where that is not known.
    """

    title: str
    url: str
    over: bool = False
    cause: str = ""
    evidence: tuple[str, ...] = ()
    impact: str = ""


@dataclass(frozen=True)
class Why:
    """Why this was sent, to this channel, now: `text` says it in one sentence."""

    occasion: Occasion
    text: str
    route: str
    # Label → value that the group has in common, by which it was formed.
    group_labels: Mapping[str, str] = field(default_factory=dict)
    matchers: str = ""


@dataclass(frozen=True)
class Message:
    """A notification of a group of alerts, a test or a report.

    `title` and `text` are plain text and always there, so that a channel which cannot do more can
    send them; `html` is for mail alone. `left_out` counts the alerts beyond those listed, and
    `incidents` are those of the alerts that are listed, the first of them. `note` says why it goes
    by this channel, where it was meant for others: `in_place_of` are those that failed, each with
    why.
    """

    title: str
    text: str
    status: Status = "firing"
    severity: str = "info"
    url: str = ""
    group_key: str = ""
    alerts: tuple[AlertTold, ...] = ()
    left_out: int = 0
    why: Why | None = None
    html: str = ""
    incidents: tuple[IncidentTold, ...] = ()
    note: str = ""
    in_place_of: tuple[tuple[str, str], ...] = ()

    @property
    def why_sent(self) -> str:
        """Why it was sent, and by this channel; empty where there is nothing to say of it."""
        return " ".join(each for each in (self.note, self.why.text if self.why else "") if each)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` reads it back to an equal message."""
        return cast(dict[str, Any], _plain(asdict(self)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Message:
        """What it does not know, such as fields of a later version, it leaves out."""
        why = data.get("why")
        return cls(
            **{
                **_known(cls, data),
                "alerts": tuple(_alert(each) for each in data.get("alerts", ())),
                "why": Why(**_known(Why, why)) if why else None,
                "incidents": tuple(_incident(each) for each in data.get("incidents", ())),
                "in_place_of": tuple((name, why) for name, why in data.get("in_place_of", ())),
            }
        )


def _known(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: data[each.name] for each in fields(kind) if each.name in data}


def _alert(data: Mapping[str, Any]) -> AlertTold:
    ended = data.get("ended_at")
    return AlertTold(
        **{
            **_known(AlertTold, data),
            "started_at": datetime.fromisoformat(data["started_at"]),
            "ended_at": datetime.fromisoformat(ended) if ended else None,
        }
    )


def _incident(data: Mapping[str, Any]) -> IncidentTold:
    known = _known(IncidentTold, data)
    return IncidentTold(**{**known, "evidence": tuple(data.get("evidence", ()))})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
