"""Alerts that hold others: while the source fires, nobody is told of the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from alerting.domain.matchers import Matcher, all_match
from alerting.domain.pipeline import Candidate, Held

Values = tuple[str, ...]
Holder = tuple[UUID, str]


@dataclass(frozen=True)
class InhibitionRule:
    """While an alert matches `source`, those that match `target` and have the same values of the
    labels `equal` are held. One that matches both sides is not held by another such."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def values(self, labels: Mapping[str, str]) -> Values:
        """What a source and its targets have in common; a missing label is the empty text."""
        return tuple(labels.get(name, "") for name in self.equal)


@dataclass
class Sources:
    """The alerts that hold others by one rule: for each set of values the one of the smallest id,
    so that it is the same one each time. Its size is that of the different values."""

    rule: InhibitionRule
    # Of sources that are no targets, and of any: id and name of the alert.
    pure: dict[Values, Holder] = field(default_factory=dict)
    any: dict[Values, Holder] = field(default_factory=dict)

    def add(self, alert_id: UUID, labels: Mapping[str, str]) -> None:
        """Take up an alert that fires, if it is a source."""
        if not all_match(self.rule.source, labels):
            return
        values = self.rule.values(labels)
        holder = (alert_id, labels.get("alertname", ""))
        self.any[values] = min(holder, self.any.get(values, holder))
        if not all_match(self.rule.target, labels):
            self.pure[values] = min(holder, self.pure.get(values, holder))

    def holder(self, candidate: Candidate) -> Holder | None:
        """The alert that holds this one, None where none does."""
        if not self.any or not all_match(self.rule.target, candidate.labels):
            return None
        both = all_match(self.rule.source, candidate.labels)
        found = (self.pure if both else self.any).get(self.rule.values(candidate.labels))
        return None if found is None or found[0] == candidate.id else found


@dataclass(frozen=True)
class Inhibitor:
    """The stage that says which alerts are held by others."""

    sources: Sequence[Sources]

    def __call__(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        if not any(each.any for each in self.sources):
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
    alert_id, name = holder
    text = f"{name} fires and says it already (inhibition {rule.name})"
    return Held("inhibition", rule.name, text, str(alert_id))


def sources_of(
    rules: Iterable[InhibitionRule], alerts: Iterable[tuple[UUID, Mapping[str, str]]]
) -> list[Sources]:
    """What holds others among `alerts` (id, labels) that fire."""
    found = [Sources(rule) for rule in rules]
    for alert_id, labels in alerts:
        for each in found:
            each.add(alert_id, labels)
    return found
