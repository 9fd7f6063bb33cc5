"""A fleet in simulated time: checks whose targets fail as a test wishes, probed when they are due."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from health.choices import DependencyStatus
from health.models import Check, CheckResult, CheckStatus, Dependency, Outage, Service, StateChange
from health.services.announcements import outages_announce
from health.services.claims import claim_due
from health.services.evaluation import graph_evaluate, windows_follow
from health.services.results import Result, results_record
from health.services.staleness import stale_mark
from resilience_site.core import journal
from resilience_site.core.journal import Recorded
from resilience_site.core.sealing import seal

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
# The next run or announcement; where there are maintenance windows it may be any second.
_QUIET_UNTIL = """
SELECT LEAST(
    (SELECT min(next_due_at) FROM health_checkstatus),
    (SELECT min(announce_at) FROM health_outage
     WHERE ended_at IS NULL AND announced_at IS NULL AND announce_at IS NOT NULL),
    (SELECT to_timestamp(0) WHERE EXISTS (SELECT FROM health_maintenance)
     OR EXISTS (SELECT FROM health_checkstatus WHERE state = 'maintenance'))
)
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def placed(at: datetime, interval: float) -> UUID:
    """A new id by which a check's place in its interval is that of `at`: a test does not depend on
    what is drawn."""
    place = (at - _EPOCH).total_seconds() % interval / interval
    return UUID(int=secrets.randbits(100) * 1_000_003 + int(place * 1_000_003))


class World:
    """Time goes by in `run`; `down`, `slow` and `broken` name the checks that find so."""

    def __init__(self, start: datetime = START, seed: int = 1) -> None:
        self.now = start
        self.down: set[str] = set()
        self.slow: set[str] = set()
        # Their runs end in an error of the check itself.
        self.broken: set[str] = set()
        self.online = True
        self.checks: dict[str, Check] = {}
        self.rng = random.Random(seed)
        self.cursor = journal.latest_cursor()

    # --- The scene

    def check(
        self, name: str, *needs: str, soft: Iterable[str] = (), due_in: float = 0, **fields: Any
    ) -> Check:
        """A check that needs others, first due after `due_in` seconds."""
        service, _ = Service.objects.get_or_create(
            name=fields.pop("service", name),
            defaults={"first_seen": self.now, "last_seen": self.now},
        )
        interval = fields.pop("interval", 30)
        check = Check.objects.create(
            id=placed(self.now + timedelta(seconds=due_in), interval),
            name=name,
            service=service,
            kind="memory",
            sealed_target=seal("{}"),
            interval_seconds=interval,
            timeout_seconds=fields.pop("timeout", 10),
            created_at=self.now,
            updated_at=self.now,
            **fields,
        )
        CheckStatus.objects.create(
            check_row=check,
            next_due_at=self.now + timedelta(seconds=due_in),
            own_since=self.now,
            since=self.now,
            minutes_from=self.now.replace(second=0, microsecond=0),
        )
        self.checks[name] = check
        for parent, hard in [*((n, True) for n in needs), *((n, False) for n in soft)]:
            Dependency.objects.create(
                child_check=check,
                parent_check=self.checks[parent],
                hard=hard,
                status=DependencyStatus.DECLARED,
                created_at=self.now,
            )
        return check

    # --- Time

    def run(self, seconds: float, each: Callable[[], None] | None = None) -> None:
        """Let time go by, second by second; every check is probed when it is due."""
        quiet_until = self.now
        for _ in range(round(seconds)):
            self.now += SECOND
            if each is None and self.now < quiet_until:
                continue
            self.probe()
            if self.now.second % 2 == 0:
                self.follow()
            if each is not None:
                each()
            quiet_until = self._quiet_until()

    def _quiet_until(self) -> datetime:
        """Before then neither a probe nor what the beat does could find anything to do."""
        with connection.cursor() as cursor:
            cursor.execute(_QUIET_UNTIL)
            (moment,) = cursor.fetchone()
        return moment or self.now

    def follow(self) -> None:
        """What the beat does every two seconds."""
        windows_follow(now=self.now)
        outages_announce(now=self.now)

    def probe(self) -> list[UUID]:
        claims = claim_due(now=self.now, until=self.now, limit=1000)
        results = [
            Result(
                claim=claim,
                started_at=self.now,
                status=self.finds(claim.name),
                output=f"{claim.name} says {self.finds(claim.name)}",
                latency_ms=12.5,
            )
            for claim in claims
        ]
        return results_record(results=results, now=self.now, rng=self.rng)

    def finds(self, name: str) -> str:
        if name in self.broken:
            return "internal_error"
        if not self.online:
            return "withheld"
        if name in self.down:
            return "down"
        return "degraded" if name in self.slow else "up"

    def pass_by(self, seconds: float) -> None:
        """Time goes by and nobody probes."""
        self.now += timedelta(seconds=seconds)

    def mark_stale(self) -> int:
        return stale_mark(now=self.now)

    def evaluate(self) -> None:
        from django.db import transaction

        with transaction.atomic():
            graph_evaluate(now=self.now)

    # --- What can be seen

    def status(self, name: str) -> CheckStatus:
        return CheckStatus.objects.select_related("culprit").get(check_row=self.checks[name])

    def state(self, name: str) -> str:
        return self.status(name).state

    def culprit(self, name: str) -> str | None:
        culprit = self.status(name).culprit
        return culprit.name if culprit else None

    def changes(self, name: str) -> list[tuple[str, str, datetime]]:
        """Its changes of state in the order in which they were found out."""
        rows = StateChange.objects.filter(check_row=self.checks[name]).order_by("id")
        return [(row.from_state, row.state, row.since) for row in rows]

    def runs(self, name: str, *statuses: str) -> list[datetime]:
        """When it was run and found one of `statuses`, in order."""
        rows = CheckResult.objects.filter(check_id=self.checks[name].id, status__in=statuses)
        return list(rows.order_by("at").values_list("at", flat=True))

    def outages(self, name: str) -> list[Outage]:
        return list(Outage.objects.filter(check_row=self.checks[name]).order_by("started_at"))

    def told(self, *kinds: str) -> list[Recorded]:
        """Journal entries of these kinds since the world began."""
        entries = journal.read(self.cursor, ["health"], limit=10_000)
        return [each for each in entries if each.kind in kinds]

    def alerts(self) -> list[str]:
        """The names of the checks whose failure was announced, in order."""
        return [each.payload["check"]["name"] for each in self.told("failure_confirmed")]

    def recoveries(self) -> list[str]:
        return [each.payload["check"]["name"] for each in self.told("failure_ended")]
