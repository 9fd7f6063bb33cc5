"""Alerts on their way to people: route → inhibit → mute → group → deduplicate → deliver.

All stages have one signature: they take what is under way and give the same, with what they found
out about it. Up to the groups that is an alert (`Candidate`); what a group has to say is under way
to a channel (`alerting.domain.dedup.News`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol, TypeVar
from uuid import UUID

# The label that names the incident which an alert is part of, by its id; not there before that is
# known, a few seconds after the alert fires.
INCIDENT: Final = "incident"


@dataclass(frozen=True)
class Held:
    """Why nobody is told of an alert; `id` is that of the silence, window or inhibition."""

    kind: Literal["silence", "inhibition", "maintenance"]
    id: str
    text: str
    # Of the alert that fires in its place.
    alert: str = ""

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "id": self.id, "text": self.text} | (
            {"alert": self.alert} if self.alert else {}
        )


# The id of a route and the key of a group of it.
Where = tuple[int, str]


@dataclass(frozen=True)
class Place:
    """A group of a route; `key` is the SHA-256 of its labels, or begins with `EVERYTHING_ELSE`."""

    route_id: int
    key: str
    labels: Mapping[str, str]

    @property
    def where(self) -> Where:
        return (self.route_id, self.key)


@dataclass(frozen=True)
class Candidate:
    """An alert that fires. `labels` are those of `labels_matched`."""

    id: UUID
    labels: Mapping[str, str]
    check_id: UUID | None = None
    fired_at: datetime | None = None
    held: tuple[Held, ...] = ()
    places: tuple[Place, ...] = field(default=())


Item = TypeVar("Item")


class Stage(Protocol[Item]):
    """One step of the pipeline; it neither drops items nor changes their order."""

    def __call__(self, items: Sequence[Item], /) -> list[Item]: ...


def run(stages: Sequence[Stage[Item]], items: Sequence[Item]) -> list[Item]:
    """The items after all stages, in order."""
    passed = list(items)
    for stage in stages:
        passed = stage(passed)
    return passed


def labels_matched(
    labels: Mapping[str, str],
    *,
    rule: str,
    severity: str,
    service: str,
    source: str,
    incident: str = "",
) -> dict[str, str]:
    """What matchers see of an alert: its labels, with what the site knows of it.

    `severity`, `service` and `incident` are the site's own, whatever the labels say: another
    system's words for them have been translated, and its incidents are none of this site.
    """
    known = {"alertname": rule, "source": source, **labels, "severity": severity}
    known.pop(INCIDENT, None)
    own = {"service": service, INCIDENT: incident}
    return {**known, **{name: value for name, value in own.items() if value}}


def group_key(labels: Mapping[str, str]) -> str:
    """SHA-256 of the sorted labels, as hex."""
    ordered = json.dumps(sorted(labels.items()), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(ordered.encode("utf-8", "surrogatepass")).hexdigest()
