"""A history in which things are stored when they came: some in time, some long after."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import NAMESPACE_DNS, uuid4, uuid5

from alerting.models import Alert, AlertRule
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.trial import rule_trial
from analytics.domain.histogram import bucket
from analytics.domain.known import minute_number
from analytics.models import CorrelationChain
from analytics.models.partitions import CALL_ROLLUPS, CHAINS, ERROR_ROLLUPS
from analytics.services.arrivals import Arrival
from analytics.services.call_hours import call_hours_sum
from analytics.services.call_names import Named
from analytics.services.chains import chains_write
from analytics.services.rollups import CallFigures, Figures, write_error_counts
from health.models import Check
from resilience_site.core import partitions
from tests.alerting.rules.history import at
from tests.health.availability.fleet import change

# Labels; when it began, fired and ended; and its text, which says all its figures.
Fired = tuple[Any, ...]
# After the end of a minute, in seconds: at once, within what is waited for, and long after.
DELAYS = (0, 60, 180, 300, 600, 1500)
FACTS = {
    "figure": ("metric", "value", "threshold", "count", "median", "culprit"),
    "burn": ("objective", "value", "threshold", "bad", "total", "text"),
}


@dataclass
class World:
    """What is stored from minute to minute, and a live evaluation that has pauses."""

    minutes: int
    chance: random.Random
    # By the second after the start at which each happens.
    waiting: list[tuple[float, int, Callable[[], Any]]] = field(default_factory=list)

    def later(self, second: float, happens: Callable[..., Any], *args: Any, **more: Any) -> None:
        self.waiting.append((second, len(self.waiting), partial(happens, *args, **more)))

    def delayed(self, minute: int, write: Callable[..., None], *args: Any) -> None:
        """Store what belongs to a minute at a moment after its end that chance chooses."""
        second = minute * 60 + 60 + self.chance.choice(DELAYS)
        self.later(second, write, minute, second, *args)

    def hours(self) -> None:
        """Some failures of hours before come while those are being summed up, now and then."""
        for hour in range(-5, 0):
            late = self.chance.randrange(2, self.minutes - 5) * 60 + 1
            for second in (hour * 3600 + 3600, late):
                self.later(second, calls, hour * 60 + 30, second, "planner", 9, 3, 70)
        for minute in range(0, self.minutes, 11):
            self.later(minute * 60, call_hours_sum, now=at(minute * 60))

    def run(self) -> None:
        """Let all happen in its order; the evaluation takes its turn in some of the minutes."""
        for minute in range(self.minutes):
            if minute < 3 or self.chance.random() < 0.3:
                self.later(minute * 60 + 25, turn, minute * 60 + 25)
        for _, _, happens in sorted(self.waiting, key=lambda each: each[:2]):
            happens()
        turn(max([self.minutes * 60, *(second for second, *_ in self.waiting)]) + 200)


def turn(second: float) -> None:
    rules_evaluate(now=at(second))


def calls(minute: int, second: float, service: str, count: int, failed: int, ms: float) -> None:
    """Calls of a minute, stored at a second."""
    figures = CallFigures(cast(Named, None), Arrival(at(second)))
    made = figures.calls[minute_number(at(minute * 60)), service, "", 0] = Figures()
    for number in range(count):
        took = int(ms * 1e6)
        made.add(took, bucket(took), number < failed)
    figures.write()


def errors(minute: int, second: float, service: str, count: int) -> None:
    """Errors of a minute, stored at a second; those that a better report replaces are below 0."""
    pattern = str(uuid5(NAMESPACE_DNS, service))
    number = minute_number(at(minute * 60))
    write_error_counts({(number, service, pattern): count}, Arrival(at(second)))


def chains_seen(
    moment: datetime, seen: datetime, service: str, count: int = 1
) -> list[CorrelationChain]:
    """Chains that began in a service at a moment, and are written as they are first seen."""
    partitions.ensure(CHAINS, seen, seen)
    made = [
        CorrelationChain(
            id=uuid4(), opened_on=seen.date(), kind="trace", trace_id=uuid4().hex,
            correlation_id="", root_cause_id=uuid4(), root_cause_service=service,
            root_cause_type="", root_cause_message="", root_cause_operation="",
            services=[service], error_count=2, span_count=0, gap_count=0, started_at=moment,
            ended_at=moment, updated_at=seen,
        )
        for _ in range(count)
    ]  # fmt: skip
    chains_write(made, Arrival(seen))
    return made


def chain_moved(chain: CorrelationChain, moment: datetime, service: str, now: datetime) -> None:
    """Earlier spans of a chain came: it began before, elsewhere."""
    chain.started_at, chain.root_cause_service, chain.updated_at = moment, service, now
    chains_write([chain], Arrival(now))


def found_out(check: Check, state: str, since: datetime, moment: datetime) -> None:
    """A check is in a state since a moment, which became known at another."""
    change(check, state, since, at=moment)


def room() -> None:
    """Partitions for all of the history and the days before."""
    for table in (CALL_ROLLUPS, ERROR_ROLLUPS):
        partitions.ensure(table, at(0) - timedelta(days=2), at(86_400))


def rule(name: str, condition: dict[str, Any], **fields: Any) -> None:
    summary = " ".join("{{ facts." + name + " }}" for name in FACTS[condition["type"]])
    given: dict[str, Any] = {
        "for_seconds": 0, "keep_firing_seconds": 0, "created_at": at(-9), "changed_at": at(-9),
    } | fields  # fmt: skip
    AlertRule.objects.create(
        name=name, title=name, severity="ticket", condition=condition, summary=summary, **given
    )


def fired_live(name: str, since: float, until: float) -> list[Fired]:
    """What the live evaluation made, of the alerts that fired in a range."""
    rows = Alert.objects.filter(rule_name=name, fired_at__gte=at(since), fired_at__lte=at(until))
    return sorted(
        (sorted(each.labels.items()), each.started_at, each.fired_at, _within(each.ended_at, until),
         each.annotations["summary"])
        for each in rows
    )  # fmt: skip


def fired_tried(name: str, since: float, until: float, now: float) -> list[Fired]:
    """What a trial of the range says, made long after."""
    row = AlertRule.objects.get(name=name)
    trial = rule_trial(row, since=at(since), until=at(until), now=at(now))
    assert trial.notes == []
    assert trial.fault == ""
    return sorted(
        (sorted(each.labels.items()), each.started_at, each.fired_at, each.ended_at, each.summary)
        for each in trial.alerts
    )


def _within(ended: Any, until: float) -> Any:
    return None if ended is None or ended > at(until) else ended


def same(names: Iterable[str], since: float, until: float, now: float) -> dict[str, int]:
    """How often each rule fired, after it was made sure that a trial says the same of each."""
    counts = {}
    for name in names:
        made = fired_live(name, since, until)
        assert fired_tried(name, since, until, now) == made, name
        counts[name] = len(made)
    return counts
