"""The live evaluation: each rule goes on from where it stopped, up to now.

Progress and alerts are written in one transaction, so that a turn that is cut off has done
nothing, and two evaluators at once do each turn's work once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import F

from alerting.choices import AlertState
from alerting.domain.alerts import AlertChange, Happening
from alerting.domain.rules.conditions import (
    EventCondition,
    SilentCondition,
    Wrong,
    condition_read,
)
from alerting.domain.rules.events import JournalMachine
from alerting.domain.rules.fields import Entry
from alerting.domain.rules.figures import FigureMachine
from alerting.domain.rules.lifecycle import MOST_TRACKED, Emission
from alerting.models import Alert, AlertRule, RuleProgress
from alerting.selectors.rule_entries import entries_after, kinds_of
from alerting.selectors.rule_figures import readings_within
from alerting.services.alerts import alerts_apply
from alerting.services.rules.faults import CANNOT, fault_settle
from alerting.services.rules.machines import Machine, Told, changes_of, machine_of, of_journal
from alerting.services.rules.progress import carried_of
from alerting.services.rules.replay import (
    ENTRIES_SETTLE,
    replay,
    settled,
    warm_up,
)
from resilience_site.core import journal

_log = logging.getLogger(__name__)
_PAGE: Final = 5_000
_MOST_PAGES: Final = 20
_MOST_MINUTES: Final = timedelta(hours=6)
# Clocks of two machines may differ by a little.
_AHEAD: Final = timedelta(minutes=5)
_FAILS: Final = (Wrong, DatabaseError, ArithmeticError, LookupError, TypeError, ValueError)


@dataclass
class Evaluated:
    """What one turn did."""

    rules: int = 0
    entries: int = 0
    changes: int = 0
    faulty: list[str] = field(default_factory=list)


def rules_evaluate(*, now: datetime) -> Evaluated:
    """Evaluate all enabled rules up to now. One that cannot be is marked, and holds up no other."""
    done = Evaluated()
    rules = list(AlertRule.objects.filter(enabled=True).select_related("progress"))
    done.rules = len(rules)
    by_cursor: dict[int, list[AlertRule]] = {}
    for rule in rules:
        try:
            condition = condition_read(rule.condition)
            if not _begun(rule, now):
                _begin(rule, now, done)
            elif isinstance(condition, EventCondition | SilentCondition):
                by_cursor.setdefault(rule.progress.cursor, []).append(rule)
            else:
                _minutes(rule, now, done)
        except _FAILS as error:
            _failed(rule, error, now, done)
    for cursor, those in sorted(by_cursor.items()):
        _together(cursor, those, now, done)
    return done


def _begun(rule: AlertRule, now: datetime) -> bool:
    """Whether its progress belongs to the rule as it is."""
    try:
        return _is_of(rule.progress, rule, now)
    except RuleProgress.DoesNotExist:
        return False


def _is_of(progress: RuleProgress, rule: AlertRule, now: datetime) -> bool:
    """Figures that were read up to a moment that lies far ahead were so by a clock that was wrong:
    nothing would be read until that moment has come."""
    until = progress.evaluated_until
    ahead = (
        until is not None
        and until > now + _AHEAD
        and not of_journal(condition_read(rule.condition))
    )
    return progress.rule_version == rule.version and not ahead


# --- A rule that is new, or changed --------------------------------------------------------------


def _begin(rule: AlertRule, now: datetime, done: Evaluated) -> None:
    """From history to what holds now: alerts that ended before are not told of, those that hold fire
    when the rule was saved, and those of its former form go on, or end where they do not hold by its
    new one."""
    condition = condition_read(rule.condition)
    with transaction.atomic():
        # Whoever switches it off or deletes it meanwhile would find its alerts begun afterwards.
        rows = AlertRule.objects.select_for_update(skip_locked=True, of=("self",))
        if not rows.filter(pk=rule.pk, enabled=True, version=rule.version).exists():
            return
        RuleProgress.objects.get_or_create(rule=rule)
        progress = _held(rule)
        if progress is None or _is_of(progress, rule, now):
            return
        # A clock that was ahead when it was saved would put off what holds.
        carried = carried_of(rule, progress.state)
        machine = machine_of(rule, min(rule.changed_at, now), carried)
        newest, until = journal.latest_cursor(), settled(rule, now)
        since = until - warm_up(rule, condition)
        over_journal = isinstance(machine, JournalMachine)
        for _ in replay(rule, machine, since, until, through=newest if over_journal else None):
            pass
        told = changes_of(rule, _standing(machine))
        told.changes = [*_leftovers(rule, told, now), *told.changes]
        progress.rule_version = rule.version
        progress.cursor, progress.evaluated_until = newest, machine.clock
        progress.state = machine.to_json()
        progress.save()
        fault_settle(rule, told, evaluated=True, now=now)
        done.changes += len(alerts_apply(told.changes, now=now))


def _standing(machine: Machine) -> list[Emission]:
    """What is pending or firing, as if it had just become so."""
    found = []
    for track in machine.lifecycle.tracks.values():
        at = track.fired_at or track.since
        happening: Happening = "begin" if track.fired_at is None else "fire"
        found.append(Emission(happening, at, track.labels, track.service, track.since, track.facts))
    return found


def _leftovers(rule: AlertRule, told: Told, now: datetime) -> list[AlertChange]:
    held = {change.fingerprint for change in told.changes}
    open_ones = Alert.objects.filter(rule=rule).exclude(state=AlertState.RESOLVED)
    return [
        AlertChange(
            happening="resolve",
            at=now,
            labels=alert.labels,
            rule_name=alert.rule_name,
            severity=alert.severity,
            started_at=alert.started_at,
            facts={"ended_because": "the rule was changed"},
        )
        for alert in open_ones
        if alert.fingerprint not in held
    ]


# --- Rules over the journal ----------------------------------------------------------------------


def _together(cursor: int, rules: Sequence[AlertRule], now: datetime, done: Evaluated) -> None:
    """Evaluate rules by what they read at once; where that fails, each by itself, so that the one
    that it fails for holds up no other."""
    try:
        _entries(cursor, rules, now, done)
    except _FAILS as error:
        if len(rules) == 1:
            _failed(rules[0], error, now, done)
            return
        for rule in rules:
            _together(cursor, [rule], now, done)


def _entries(cursor: int, rules: Sequence[AlertRule], now: datetime, done: Evaluated) -> None:
    """Rules that stopped at the same entry read the next ones together."""
    conditions = [condition_read(rule.condition) for rule in rules]
    over = [each for each in conditions if isinstance(each, EventCondition | SilentCondition)]
    topics = {each.topic for each in over}
    kinds = set().union(*(kinds_of(each) for each in over))
    for _ in range(_MOST_PAGES):
        newest = journal.latest_cursor()
        entries = entries_after(cursor, topics, kinds, _PAGE)
        more = len(entries) == _PAGE
        last = entries[-1].id if entries else cursor
        through = last if more else max(newest, last)
        # What comes after the page must not be overtaken by what is due by itself.
        upto = min(now - ENTRIES_SETTLE, entries[-1].at) if more else now - ENTRIES_SETTLE
        _page(cursor, through, [rule.pk for rule in rules], entries, upto, now, done)
        cursor = through
        if not more:
            return


@transaction.atomic
def _page(
    cursor: int,
    through: int,
    rule_ids: Sequence[UUID],
    entries: Sequence[Entry],
    upto: datetime,
    now: datetime,
    done: Evaluated,
) -> None:
    rows = (
        RuleProgress.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("rule")
        .filter(rule__in=rule_ids, cursor=cursor, rule_version=F("rule__version"))
        .filter(rule__enabled=True)
        .order_by("rule_id")
    )
    changes: list[AlertChange] = []
    written = []
    for progress in rows:
        rule = progress.rule
        try:
            machine = machine_of(rule)
        except Wrong as error:
            _mark(rule, error, now, done)
            continue
        machine.restore(progress.state)
        told = _fed(rule, machine, entries, upto)
        if told.fault:
            done.faulty.append(rule.name)
        fault_settle(rule, told, evaluated=not told.fault.startswith(CANNOT), now=now)
        progress.cursor, progress.evaluated_until = through, machine.clock
        progress.state = machine.to_json()
        written.append(progress)
        changes += told.changes
    RuleProgress.objects.bulk_update(written, ["cursor", "evaluated_until", "state"])
    done.entries += len(entries)
    done.changes += len(alerts_apply(changes, now=now))


def _fed(rule: AlertRule, machine: Machine, entries: Sequence[Entry], upto: datetime) -> Told:
    """Feed a machine and let time pass up to `upto`; an entry that it cannot take is left out and
    said."""
    fault = ""
    condition = condition_read(rule.condition)
    if not isinstance(machine, JournalMachine) or not isinstance(
        condition, EventCondition | SilentCondition
    ):
        raise TypeError(f"rule {rule.name} is not over the journal")
    for entry in entries:
        if entry.topic != condition.topic:
            continue
        try:
            machine.observe(entry)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            _log.exception("Rule %s cannot take entry %s.", rule.name, entry.id)
            fault = f"{CANNOT}: entry {entry.id}: {error}"[:500]
    machine.advance(upto)
    told = changes_of(rule, machine.taken())
    if machine.lifecycle.left_out:
        fault = (
            f"It has more than {MOST_TRACKED:,} alerts at once; "
            f"{machine.lifecycle.left_out:,} entries were left out."
        )
    told.fault = fault or told.fault
    return told


# --- Rules over figures --------------------------------------------------------------------------


def _minutes(rule: AlertRule, now: datetime, done: Evaluated) -> None:
    since = rule.progress.evaluated_until
    until = settled(rule, now)
    if since is None or until <= since:
        return
    with transaction.atomic():
        progress = _held(rule)
        if progress is None or progress.evaluated_until != since:
            return
        until = min(until, since + _MOST_MINUTES)
        machine = machine_of(rule)
        if not isinstance(machine, FigureMachine):
            raise TypeError(f"rule {rule.name} is not over figures")
        machine.restore(progress.state)
        for at, readings in readings_within(condition_read(rule.condition), since, until):
            machine.minute(at, readings)
        told = changes_of(rule, machine.taken())
        progress.evaluated_until = until
        progress.state = machine.to_json()
        progress.save(update_fields=["evaluated_until", "state"])
        fault_settle(rule, told, evaluated=True, now=now)
        done.changes += len(alerts_apply(told.changes, now=now))


def _held(rule: AlertRule) -> RuleProgress | None:
    """The rule's progress, held by this transaction; None where another evaluator holds it."""
    rows = RuleProgress.objects.select_for_update(skip_locked=True)
    return rows.filter(rule=rule).first()


def _failed(rule: AlertRule, error: Exception, now: datetime, done: Evaluated) -> None:
    _log.exception("Rule %s cannot be evaluated.", rule.name)
    with transaction.atomic():
        _mark(rule, error, now, done)


def _mark(rule: AlertRule, error: Exception, now: datetime, done: Evaluated) -> None:
    done.faulty.append(rule.name)
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    fault_settle(rule, Told(fault=f"{CANNOT}: {text}"[:500]), evaluated=False, now=now)
