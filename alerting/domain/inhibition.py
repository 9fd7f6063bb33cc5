"""Alerts that hold others: while the source fires, and for a time afterwards, nobody is told of the
target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from alerting.domain.matchers import Matcher, all_match
from alerting.domain.pipeline import Candidate, Held

Values = tuple[str, ...]


class Holder(NamedTuple):
    """An alert that holds others; `ended_at` is None while it fires."""

    id: UUID
    name: str
    ended_at: datetime | None = None


class Source(NamedTuple):
    """An alert that may hold others: it fires, or was told and is over since `ended_at`."""

    id: UUID
    labels: Mapping[str, str]
    ended_at: datetime | None = None


@dataclass(frozen=True)
class InhibitionRule:
    """While an alert matches `source`, those that match `target` and have the same values of the
    labels `equal` are held. One that matches both sides is not held by another such. Those that
    fired when the source ended are held for `holds_after` longer."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]
    holds_after: timedelta = timedelta()

    def values(self, labels: Mapping[str, str]) -> Values:
        """What a source and its targets have in common; a missing label is the empty text."""
        return tuple(labels.get(name, "") for name in self.equal)


@dataclass
class Sources:
    """The alerts that hold others by one rule: for each set of values the one of the smallest id,
    so that it is the same one each time, and the one that ended last. Its size is that of the
    different values."""

    rule: InhibitionRule
    # Of sources that are no targets, and of any: id and name of the alert.
    pure: dict[Values, Holder] = field(default_factory=dict)
    any: dict[Values, Holder] = field(default_factory=dict)

    ended: dict[Values, Holder] = field(default_factory=dict)

    def add(self, alert: Source, now: datetime) -> None:
        """Take up an alert, if it is a source."""
        if not all_match(self.rule.source, alert.labels):
            return
        values = self.rule.values(alert.labels)
        holder = Holder(alert.id, alert.labels.get("alertname", ""), alert.ended_at)
        if alert.ended_at is not None:
            if now - alert.ended_at < self.rule.holds_after:
                self.ended[values] = max(holder, self.ended.get(values, holder), key=_ended_last)
            return
        self.any[values] = min(holder, self.any.get(values, holder))
        if not all_match(self.rule.target, alert.labels):
            self.pure[values] = min(holder, self.pure.get(values, holder))

    def holder(self, candidate: Candidate) -> Holder | None:
        """The alert that holds this one, None where none does."""
        if not (self.any or self.ended) or not all_match(self.rule.target, candidate.labels):
            return None
        values = self.rule.values(candidate.labels)
        both = all_match(self.rule.source, candidate.labels)
        found = (self.pure if both else self.any).get(values)
        if found is not None and found.id != candidate.id:
            return found
        return None if both else self._ended(values, candidate)

    def _ended(self, values: Values, candidate: Candidate) -> Holder | None:
        found = self.ended.get(values)
        if found is None or found.ended_at is None or candidate.fired_at is None:
            return None
        return found if candidate.fired_at < found.ended_at else None


def _ended_last(holder: Holder) -> tuple[datetime | None, UUID]:
    return holder.ended_at, holder.id


@dataclass(frozen=True)
class Inhibitor:
    """The stage that says which alerts are held by others."""

    sources: Sequence[Sources]

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        if not any(each.any or each.ended for each in self.sources):
            return list(candidates)
        return [self._held(each) for each in candidates]

    def _held(self, candidate: Candidate) -> Candidate:
        found = tuple(
            _held(each.rule, holder)
            for each in self.sources
            if (holder := each.holder(candidate)) is not None
        )
        return replace(candidate, held=candidate.held + found) if found else candidate


def _held(rule: InhibitionRule, holder: Holder) -> Held:
    text = f"{holder.name} fires and says it already (inhibition {rule.name})"
    if holder.ended_at is not None:
        until = holder.ended_at + rule.holds_after
        text = (
            f"{holder.name} said it already, until {_moment(holder.ended_at)}; held until "
            f"{_moment(until)} if it does not fire anew (inhibition {rule.name})"
        )
    return Held("inhibition", rule.name, text, str(holder.id))


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def sources_of(
    rules: Iterable[InhibitionRule], alerts: Iterable[Source], now: datetime
) -> list[Sources]:
    """What holds others at `now`, among alerts that fire or fired."""
    found = [Sources(rule) for rule in rules]
    for alert in alerts:
        for each in found:
            each.add(alert, now)
    return found
