"""A rule over history: what its machine makes of a range of time, whoever asks for it.

The live evaluation begins with it, and a trial is nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from alerting.domain.rules.conditions import (
    Condition,
    EventCondition,
    SilentCondition,
    condition_read,
    quiet_for,
)
from alerting.domain.rules.events import JournalMachine
from alerting.domain.rules.figures import FigureMachine
from alerting.domain.rules.lifecycle import Emission
from alerting.models import AlertRule
from alerting.selectors.rule_entries import entries_within
from alerting.selectors.rule_figures import readings_within
from alerting.services.rules.machines import Machine
from analytics.domain.known import JUDGED_AFTER

# What is due by itself, such as the end of a quiet time, waits so long for entries that are being
# written; entries themselves do not wait.
ENTRIES_SETTLE: Final = timedelta(seconds=10)
# The figures of a minute are looked at once, so long after its end or later: most of what belongs to
# it has come by then. What comes later counts from the ends of minutes on that know of it, whenever
# those are looked at.
FIGURES_SETTLE: Final = JUDGED_AFTER
# Where the journal begins at the latest.
JOURNAL_KEPT: Final = timedelta(days=7)
_WARM: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)


def settled(rule: AlertRule, now: datetime) -> datetime:
    """Up to when a rule can be evaluated for good."""
    condition = condition_read(rule.condition)
    if isinstance(condition, EventCondition | SilentCondition):
        return now - ENTRIES_SETTLE
    return minute_of(now - FIGURES_SETTLE)


def warm_up(rule: AlertRule, condition: Condition) -> timedelta:
    """How long before a range a machine must begin to know what holds at its beginning. What has
    held without a break since before that is seen as having begun there."""
    lasts = timedelta(seconds=rule.for_seconds + rule.keep_firing_seconds)
    if isinstance(condition, EventCondition):
        quiet = quiet_for(condition)
        if quiet is None:
            return JOURNAL_KEPT
        lasts += quiet + timedelta(seconds=condition.within_seconds)
    elif isinstance(condition, SilentCondition):
        lasts += timedelta(seconds=condition.silent_seconds + condition.forget_seconds)
    return min(_WARM + lasts, JOURNAL_KEPT)


def replay(
    rule: AlertRule,
    machine: Machine,
    since: datetime,
    until: datetime,
    *,
    through: int | None = None,
) -> Iterator[Emission]:
    """All that happens to the rule's alerts in a range; facts that were only renewed are left out.

    Rules over the journal read the entries of the range; with `through` all up to that cursor.
    """
    condition = condition_read(rule.condition)
    if isinstance(machine, JournalMachine):
        if not isinstance(condition, EventCondition | SilentCondition):
            raise TypeError("a machine over the journal with a condition over figures")
        last = None if through is not None else until
        for entry in entries_within(since, last, condition, through=through):
            machine.observe(entry)
            yield from _news(machine)
        machine.advance(until)
        yield from _news(machine)
    else:
        yield from minutes_fed(machine, condition, since, until)


def minutes_fed(
    machine: FigureMachine, condition: Condition, since: datetime, until: datetime
) -> Iterator[Emission]:
    """As `replay`, over the minutes that end in (since, until]."""
    for at, readings in readings_within(condition, since, until):
        machine.minute(at, readings)
        yield from _news(machine)


def minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _news(machine: Machine) -> Iterator[Emission]:
    return (each for each in machine.taken() if each.happening != "refresh")
