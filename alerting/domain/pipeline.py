"""Alerts on their way to people: route → inhibit → mute → group, as stages of one signature.

A stage takes the alerts that fire and gives the same ones, with what it found out about them.
What follows for each channel is decided by `alerting.domain.dedup`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID


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
    """A group of a route; `key` is the SHA-256 of its labels, or `EVERYTHING_ELSE`."""

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
    held: tuple[Held, ...] = ()
    places: tuple[Place, ...] = field(default=())


class Stage(Protocol):
    """One step of the pipeline; it neither drops alerts nor changes their order."""

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]: ...


def run(stages: Sequence[Stage], candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates after all stages, in order."""
    passed = list(candidates)
    for stage in stages:
        passed = stage(passed)
    return passed


def labels_matched(
    labels: Mapping[str, str], *, rule: str, severity: str, service: str, source: str
) -> dict[str, str]:
    """What matchers see of an alert: its labels, with what the site knows of it.

    `severity` and `service` are the site's own, whatever the labels say: another system's words for
    them have been translated.
    """
    known = {"alertname": rule, "source": source, **labels, "severity": severity}
    return {**known, "service": service} if service else known


def group_key(labels: Mapping[str, str]) -> str:
    """SHA-256 of the sorted labels, as hex."""
    ordered = json.dumps(sorted(labels.items()), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(ordered.encode("utf-8", "surrogatepass")).hexdigest()
