"""Alerts of which nobody is to be told for a time: silences, and maintenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from alerting.domain.matchers import Matcher, all_match
from alerting.domain.pipeline import Candidate, Held

_MOST_REASON: Final = 200


@dataclass(frozen=True)
class SilenceRule:
    """A silence that holds now."""

    id: UUID
    matchers: tuple[Matcher, ...]
    ends_at: datetime
    actor: str
    reason: str

    @property
    def held(self) -> Held:
        reason = self.reason[:_MOST_REASON]
        return Held(
            "silence",
            str(self.id),
            f"Silenced by {self.actor} until {self.ends_at:%Y-%m-%d %H:%M} UTC: {reason}",
        )


@dataclass(frozen=True)
class Silencer:
    """The stage that says which alerts are silenced."""

    silences: Sequence[SilenceRule]

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        if not self.silences:
            return list(candidates)
        return [self._held(each) for each in candidates]

    def _held(self, candidate: Candidate) -> Candidate:
        found = tuple(
            each.held for each in self.silences if all_match(each.matchers, candidate.labels)
        )
        return replace(candidate, held=candidate.held + found) if found else candidate


@dataclass(frozen=True)
class MaintenanceRule:
    """A maintenance window that goes on: `covers` tells of a check (id or None) and a service."""

    id: UUID
    name: str
    ends_at: datetime
    covers: Callable[[UUID | None, str], bool]

    @property
    def held(self) -> Held:
        text = f"In maintenance until {self.ends_at:%Y-%m-%d %H:%M} UTC: {self.name}"
        return Held("maintenance", str(self.id), text)


@dataclass(frozen=True)
class MaintenanceMuter:
    """The stage that says which alerts are about what is in maintenance.

    An alert about no service and no check, such as the site's own trouble, is never held so.
    """

    windows: Sequence[MaintenanceRule]

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        if not self.windows:
            return list(candidates)
        return [self._held(each) for each in candidates]

    def _held(self, candidate: Candidate) -> Candidate:
        service = candidate.labels.get("service", "")
        if not service and candidate.check_id is None:
            return candidate
        found = tuple(
            each.held for each in self.windows if each.covers(candidate.check_id, service)
        )
        return replace(candidate, held=candidate.held + found) if found else candidate
