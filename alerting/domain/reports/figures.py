"""The figures of a resilience report, as it keeps them: plain values that become JSON and back.

Fields may be added, with defaults, so that reports made before can still be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from analytics.domain.slos.budgets import Spending
from analytics.domain.slos.objectives import CHECKS, TRACES, Objective


@dataclass(frozen=True)
class Measured:
    """Seconds of services whose state checks knew: good and bad ones; `target` is 0..1. What a
    service may spend is said by its objectives, not here."""

    good: float = 0.0
    bad: float = 0.0
    target: float = 0.0

    @property
    def counted(self) -> float:
        """The denominator of the uptime."""
        return self.good + self.bad

    @property
    def ratio(self) -> float | None:
        """The uptime, 0..1; None where nothing was measured."""
        return self.good / self.counted if self.counted > 0 else None

    @property
    def met(self) -> bool | None:
        """Whether that reaches the target."""
        return None if self.ratio is None else self.bad <= (1.0 - self.target) * self.counted


@dataclass(frozen=True)
class Repairs:
    """Failures that checks confirmed: `seconds` is the time that the `repaired` ones took together,
    `good` are the good seconds between those that began (`failures`)."""

    repaired: int = 0
    seconds: float = 0.0
    failures: int = 0
    good: float = 0.0

    @property
    def mttr(self) -> float | None:
        """Mean seconds to repair; None where nothing was repaired."""
        return self.seconds / self.repaired if self.repaired else None

    @property
    def mtbf(self) -> float | None:
        """Mean good seconds between failures; None where there was none."""
        return self.good / self.failures if self.failures else None


@dataclass(frozen=True)
class Calls:
    """Entry calls as traces tell of them."""

    calls: int = 0
    failed: int = 0

    @property
    def ratio(self) -> float | None:
        """Failed ones per call, 0..1; None without calls."""
        return self.failed / self.calls if self.calls else None


@dataclass(frozen=True)
class Healing:
    """Healing runs that began: those that are over succeeded or failed."""

    runs: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def ratio(self) -> float | None:
        """Those that succeeded of those that are over; None where none is."""
        over = self.succeeded + self.failed
        return self.succeeded / over if over else None


@dataclass(frozen=True)
class Budgets:
    """What one range spent of error budgets: so many `services` have an objective that is watched,
    of the `known` ones there is enough data, and of these the budget of the range is `gone`."""

    services: int = 0
    known: int = 0
    gone: int = 0


@dataclass(frozen=True)
class Totals:
    """The sums of one range over all services.

    `services` counts those that were measured. Means are in seconds, None where there is nothing
    to divide by; `acknowledged` and `ended` say of how many of the `incidents` they are, None in
    reports of before. `told` and `untold` count notifications of alerts that arrived, and that
    failed for good. `released` counts versions first seen. `budgets` is None in reports of before.
    """

    measured: Measured = field(default_factory=Measured)
    services: int = 0
    repairs: Repairs = field(default_factory=Repairs)
    calls: Calls = field(default_factory=Calls)
    errors: int = 0
    patterns: int = 0
    patterns_new: int = 0
    openings: int = 0
    incidents: int = 0
    acknowledge_seconds: float | None = None
    resolve_seconds: float | None = None
    alerts: int = 0
    pages: int = 0
    told: int = 0
    untold: int = 0
    healing: Healing = field(default_factory=Healing)
    anomalies: int = 0
    foreseen: int = 0
    foreseen_settled: int = 0
    released: int = 0
    acknowledged: int | None = None
    ended: int | None = None
    budgets: Budgets | None = None


@dataclass(frozen=True)
class SloLine:
    """An objective: `budget` of the range and `budget_before` of the range before, and as it stood
    at the end of the range over its own window.

    There, `left` is of its budget, 0..1, below 0 where it is missed, None without enough data.
    """

    id: str
    service: str
    kind: str
    objective: float
    window_days: int
    state: str
    bad: float
    total: float
    left: float | None
    # What was counted: calls, seconds, or runs of checks. Reports of before do not say it, nor what
    # stands below.
    unit: str = ""
    threshold_ms: float | None = None
    budget: Spending | None = None
    budget_before: Spending | None = None

    @property
    def spent(self) -> float | None:
        """The share of the budget of its own window that is gone."""
        return None if self.left is None else 1.0 - self.left

    @property
    def terms(self) -> Objective:
        """What words about it need of it."""
        source = CHECKS if self.unit in ("seconds", "runs") else TRACES
        return Objective(self.kind, source, self.objective, self.window_days, 0, self.threshold_ms)


@dataclass(frozen=True)
class ServiceLine:
    """A service in the range, and what is compared with the range before. `slo` is the one of its
    objectives that spent most of its budget in the range."""

    service: str
    measured: Measured
    measured_before: Measured
    repairs: Repairs
    calls: Calls
    calls_before: Calls
    errors: int
    errors_before: int
    slo: SloLine | None = None


@dataclass(frozen=True)
class PatternLine:
    """A pattern with its errors; `new`: it was first seen in the range."""

    id: str
    service: str
    type: str
    template: str
    state: str
    errors: int
    before: int
    new: bool


@dataclass(frozen=True)
class BreakerLine:
    """How often a breaker opened in some instance: from closed, or again after probes failed."""

    service: str
    name: str
    key: str
    openings: int
    probes_failed: int
    before: int


@dataclass(frozen=True)
class IncidentLine:
    """An incident that began in the range."""

    id: str
    title: str
    severity: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    acknowledged_at: datetime | None
    culprit: str
    cause: str

    @property
    def seconds(self) -> float | None:
        """How long it lasted; None while it goes on."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None


@dataclass(frozen=True)
class AlertLine:
    """A rule's alerts: those that fired in the range, of them those that were held back from
    everybody (`held`), seconds of firing within the range, and those firing at its end."""

    rule: str
    source: str
    severity: str
    fired: int
    before: int
    held: int
    seconds: float
    open: int


@dataclass(frozen=True)
class Figures:
    """A report: `totals` of its range, `before` those of the range of the same length before.

    Lists hold the lines that matter most; `left_out` says by their names how many more there were.
    `notes` say which figures lack something, as it is not kept for so long.
    """

    totals: Totals
    before: Totals
    verdict: list[str] = field(default_factory=list)
    services: list[ServiceLine] = field(default_factory=list)
    slos: list[SloLine] = field(default_factory=list)
    patterns: list[PatternLine] = field(default_factory=list)
    breakers: list[BreakerLine] = field(default_factory=list)
    incidents: list[IncidentLine] = field(default_factory=list)
    alerts: list[AlertLine] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
