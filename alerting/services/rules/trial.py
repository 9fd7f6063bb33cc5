"""A rule tried on history: which alerts it would have made, or has made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from alerting.domain.alerts import labels_fingerprint
from alerting.domain.rules.conditions import condition_read
from alerting.domain.rules.lifecycle import Emission
from alerting.models import Alert, AlertRule
from alerting.selectors.rule_trial_notes import trial_notes
from alerting.services.rules.form import RuleForm
from alerting.services.rules.machines import Told, alert_labels, annotations_of, machine_of
from alerting.services.rules.progress import carried_since, in_force_since
from alerting.services.rules.replay import replay, settled, warm_up
from resilience_site.core.problems import Invalid

LONGEST: Final = timedelta(days=7)
MOST_SHOWN: Final = 200


@dataclass
class TriedAlert:
    """An alert that fired within the range. `alert_id` is that of the alert which the live
    evaluation made of the same, where it did."""

    labels: dict[str, str]
    service: str
    started_at: datetime
    fired_at: datetime
    ended_at: datetime | None
    summary: str
    details: str
    facts: dict[str, Any]
    alert_id: UUID | None = None

    @property
    def link(self) -> str:
        """Where what it is about can be seen."""
        return str(self.facts.get("link", ""))


@dataclass
class Trial:
    """`fired` counts all alerts, of which the newest `MOST_SHOWN` are in `alerts`.

    `since` and `until` are what was evaluated: the end may lie before the one that was asked for,
    where figures have not settled. `fault` says which text failed, `notes` why alerts that fired in
    the range may have been others.
    """

    since: datetime
    until: datetime
    fired: int = 0
    pending: int = 0
    firing_seconds: float = 0.0
    fault: str = ""
    notes: list[str] = field(default_factory=list)
    alerts: list[TriedAlert] = field(default_factory=list)

    @property
    def words(self) -> str:
        """`Would have fired 3 times.`"""
        times = {0: "not have fired", 1: "have fired once"}
        return f"It would {times.get(self.fired, f'have fired {self.fired:,} times')}."


def rule_of(form: RuleForm, rule: AlertRule | None = None) -> AlertRule:
    """A rule that is not stored, of what somebody has typed."""
    made = AlertRule(**form.fields())
    if rule is not None:
        made.pk = rule.pk
    return made


def rule_trial(rule: AlertRule, *, since: datetime, until: datetime, now: datetime) -> Trial:
    """What the rule makes of [since, until): its alerts that fire within, by the evaluator that
    serves live. Writes nothing. Raises `Invalid` for a range that is too long or lies ahead.
    """
    if until - since > LONGEST:
        raise Invalid.field("since", "A rule is tried on at most 7 days at once.")
    until = min(until, settled(rule, now))
    if until <= since:
        raise Invalid.field("since", "Nothing of this range is over for long enough to be tried.")
    condition, in_force = condition_read(rule.condition), in_force_since(rule)
    # Of a range before that it says what the rule would have made, had it been there.
    live = in_force is not None and since >= in_force
    carried = carried_since(rule) if live else frozenset()
    machine = machine_of(rule, in_force if live else None, carried)
    begin = since - warm_up(rule, condition)
    trial = Trial(since, until, notes=trial_notes(rule, condition, since, now))
    emissions = replay(rule, machine, begin, until)
    if in_force is not None:
        emissions = (each for each in emissions if not _stood(each, carried, in_force))
    found = _fired(rule, emissions, trial)
    trial.fired = len(found)
    trial.firing_seconds = sum(
        ((each.ended_at or until) - each.fired_at).total_seconds() for each in found
    )
    trial.alerts = sorted(found, key=lambda each: each.fired_at, reverse=True)[:MOST_SHOWN]
    _join_live(rule, trial.alerts, in_force)
    return trial


def _stood(each: Emission, carried: Set[str], in_force: datetime) -> bool:
    """Whether an alert fires that did so already by the rule's former version."""
    goes_on = each.happening == "fire" and each.at <= in_force
    return goes_on and labels_fingerprint(each.labels) in carried


def _fired(rule: AlertRule, emissions: Iterable[Emission], trial: Trial) -> list[TriedAlert]:
    """The alerts that fire from the trial's `since` on, in the order in which they do."""
    found: list[TriedAlert] = []
    open_ones: dict[str, TriedAlert] = {}
    told = Told()
    for each in emissions:
        key = labels_fingerprint(each.labels)
        if each.happening == "fire" and each.at >= trial.since:
            labels = alert_labels(rule, each.labels, told)
            texts = annotations_of(rule, labels, each, told)
            open_ones[key] = TriedAlert(
                labels, each.service, each.since, each.at, None,
                texts["summary"], texts.get("details", ""), dict(each.facts),
            )  # fmt: skip
            found.append(open_ones[key])
        elif each.happening == "resolve" and key in open_ones:
            open_ones.pop(key).ended_at = each.at
        elif each.happening == "begin" and each.at >= trial.since:
            trial.pending += 1
    trial.fault = told.fault
    return found


def _join_live(rule: AlertRule, alerts: Sequence[TriedAlert], in_force: datetime | None) -> None:
    """Which of them are alerts of the site: of the same labels, fired at the same moment, or, where
    they would have fired before the rule was as it is, at that one."""
    if not alerts:
        return
    wanted = {
        (labels_fingerprint(each.labels), _fired_live(each, in_force)): each for each in alerts
    }
    rows = Alert.objects.filter(
        rule_name=rule.name,
        fingerprint__in={fingerprint for fingerprint, _ in wanted},
        fired_at__in={fired_at for _, fired_at in wanted},
    )
    for row in rows:
        fired_at = row.fired_at
        if fired_at is not None and (each := wanted.get((row.fingerprint, fired_at))):
            each.alert_id = row.pk


def _fired_live(alert: TriedAlert, in_force: datetime | None) -> datetime:
    over = alert.ended_at is not None and in_force is not None and alert.ended_at <= in_force
    return alert.fired_at if in_force is None or over else max(alert.fired_at, in_force)
