"""From a rule's row to its machine, and from what the machine says to changes of alerts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerting.domain.alerts import AlertChange
from alerting.domain.rules.conditions import (
    Condition,
    EventCondition,
    SilentCondition,
    condition_read,
)
from alerting.domain.rules.events import JournalMachine, journal_machine
from alerting.domain.rules.figures import FigureMachine
from alerting.domain.rules.lifecycle import Emission
from alerting.models import AlertRule
from alerting.services.rules.texts import TextFailed, text_render

Machine = JournalMachine | FigureMachine


@dataclass
class Told:
    """The changes of a rule's alerts, and what went wrong with its texts."""

    changes: list[AlertChange] = field(default_factory=list)
    fault: str = ""


def of_journal(condition: Condition) -> bool:
    """Whether the journal is read for it; figures are, else."""
    return isinstance(condition, EventCondition | SilentCondition)


def machine_of(
    rule: AlertRule, in_force: datetime | None = None, carried: Set[str] = frozenset()
) -> Machine:
    """A machine that knows nothing yet, of which no alert fires before `in_force` but those that go
    on; raises `Wrong` for a condition that cannot be read."""
    condition = condition_read(rule.condition)
    hold_for = timedelta(seconds=rule.for_seconds)
    keep_firing = timedelta(seconds=rule.keep_firing_seconds)
    if isinstance(condition, EventCondition | SilentCondition):
        machine: Machine = journal_machine(condition, hold_for, keep_firing, in_force)
    else:
        machine = FigureMachine(hold_for, keep_firing, in_force)
    machine.lifecycle.carried = frozenset(carried)
    return machine


def changes_of(rule: AlertRule, emissions: Iterable[Emission]) -> Told:
    """What is to be done to alerts, with their whole labels and, where they fire, their texts.

    A text that fails is replaced by a plain one: the alert goes out in any case.
    """
    told = Told()
    for each in emissions:
        labels = alert_labels(rule, each.labels, told)
        annotations = annotations_of(rule, labels, each, told) if each.happening == "fire" else {}
        told.changes.append(
            AlertChange(
                happening=each.happening,
                at=each.at,
                labels=labels,
                rule_name=rule.name,
                severity=rule.severity,
                started_at=each.since,
                annotations=annotations,
                facts=each.facts,
                service=each.service[:255],
                rule_id=rule.pk,
            )
        )
    return told


def alert_labels(rule: AlertRule, found: Mapping[str, str], told: Told) -> dict[str, str]:
    """The labels of an alert: those of its condition, those of the rule (templates over the
    former, which do not change while it lasts), and the site's own."""
    labels = dict(found)
    for name, template in rule.labels.items():
        try:
            value = text_render(str(template), found, {})
        except TextFailed as error:
            told.fault = f"label {name}: {error}"
            continue
        if value:
            labels[name] = value[:255]
    return {**labels, "alertname": rule.name, "severity": rule.severity}


def annotations_of(
    rule: AlertRule, labels: Mapping[str, str], emission: Emission, told: Told
) -> dict[str, str]:
    """The texts of an alert that fires, plain where a template fails."""
    runbook = emission.facts.get("runbook_url")
    found = {"runbook_url": rule.runbook_url or (runbook if isinstance(runbook, str) else "")}
    for name, template in (("summary", rule.summary), ("details", rule.details)):
        try:
            found[name] = text_render(template, labels, emission.facts)
        except TextFailed as error:
            told.fault = f"{name}: {error}"
            found[name] = plain_text(rule, labels) if name == "summary" else ""
    return {name: text for name, text in found.items() if text}


def plain_text(rule: AlertRule, labels: Mapping[str, str]) -> str:
    """What is said where the rule's own text fails."""
    own = ("alertname", "severity")
    named = ", ".join(f"{name} {value}" for name, value in labels.items() if name not in own)
    return f"{rule.title}: {named}" if named else rule.title
