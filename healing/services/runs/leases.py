"""Leases of runs: each is advanced by one worker at a time, however many are told to look at it.

A lease has a fencing number. Everything that its holder writes is written under a lock on the run
that names this number, so a worker that was frozen and wakes up late changes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, connection, connections, transaction
from django.db.models import F, Q

from healing.actions.base import LeaseLost
from healing.choices import OPEN
from healing.models import HealingRun

logger = logging.getLogger(__name__)

LEASE: timedelta = timedelta(seconds=30)
# How long a lease is kept alive by itself where nobody says how long something takes.
UNBOUND: Final = 120.0
# What is due or leased until a moment that nothing waits for was left so by a wrong clock.
LONGEST_WAIT: Final = timedelta(days=8)

_CLAIM: Final = """
UPDATE healing_healingrun SET lease_until = %(now)s + %(lease)s, fence = fence + 1
WHERE id = %(id)s AND state = ANY(%(open)s)
AND (due_at IS NULL OR due_at <= %(now)s OR due_at > %(ahead)s)
AND (lease_until IS NULL OR lease_until < %(now)s OR lease_until > %(ahead)s)
RETURNING fence
"""


@dataclass
class Lease:
    """The right to advance a run. `bound` is when its heart stops by itself, in monotonic seconds:
    what hangs beyond that is left to another worker."""

    run_id: UUID
    fence: int
    lost: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], float] = time.monotonic
    bound: float = 0.0

    def allow(self, seconds: float) -> None:
        """Keep the lease for at most so long from now."""
        self.bound = self.clock() + seconds

    @contextmanager
    def writing(self) -> Iterator[HealingRun]:
        """The run, locked in a transaction. Raises `LeaseLost` where another worker has it."""
        with transaction.atomic():
            rows = HealingRun.objects.select_for_update(no_key=True)
            run = rows.filter(pk=self.run_id, fence=self.fence).first()
            if run is None:
                self.lost.set()
                raise LeaseLost(f"Another worker advances the run {self.run_id}.")
            yield run

    def pause(self, seconds: float) -> None:
        """Wait; raises `LeaseLost` as soon as another worker has the run."""
        if self.lost.wait(max(0.0, seconds)):
            raise LeaseLost(f"Another worker advances the run {self.run_id}.")

    def release(self, due_at: datetime) -> None:
        """Give it back. The run is due again then, unless it is over."""
        mine = HealingRun.objects.filter(pk=self.run_id, fence=self.fence)
        mine.filter(state__in=OPEN).update(lease_until=None, due_at=due_at)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew it at a third of its length, in a thread of its own."""
        self.allow(UNBOUND)
        ended = threading.Event()
        heart = threading.Thread(
            target=self._beat, args=(ended,), name=f"lease {self.run_id}", daemon=True
        )
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(LEASE.total_seconds() / 3):
            if self.clock() > self.bound:
                logger.warning("A step of the run %s hangs; its lease lapses", self.run_id)
                break
            try:
                if not self._renew():
                    self.lost.set()
                    break
            except DatabaseError:
                # The next beat may reach it; if none does, the lease lapses, as it must.
                logger.exception("The lease of the run %s could not be renewed", self.run_id)
            finally:
                connections.close_all()

    def _renew(self) -> bool:
        until = datetime.now(UTC) + LEASE
        mine = HealingRun.objects.filter(pk=self.run_id, fence=self.fence)
        return mine.update(lease_until=until) > 0


def lease_claim(*, run_id: UUID, now: datetime) -> Lease | None:
    """The lease of a run that is due; None while another has it, or where nothing is to be done."""
    values: dict[str, Any] = {
        "id": run_id,
        "now": now,
        "lease": LEASE,
        "ahead": now + LONGEST_WAIT,
        "open": sorted(OPEN),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    return Lease(run_id, row[0]) if row else None


def runs_due(now: datetime) -> list[UUID]:
    """The runs that have to be looked at and that nobody looks at, the longest due first."""
    ahead = now + LONGEST_WAIT
    rows = HealingRun.objects.filter(
        Q(due_at=None) | Q(due_at__lte=now) | Q(due_at__gt=ahead), state__in=OPEN
    ).exclude(lease_until__gte=now, lease_until__lte=ahead)
    return list(rows.order_by(F("due_at").asc(nulls_first=True)).values_list("pk", flat=True))
