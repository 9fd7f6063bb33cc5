"""The prober of a process: claims due checks, runs them in one event loop, writes what they found.

Two threads. *store* holds the only database connection: it writes finished runs, claims what falls
due within the next moments and hands that to *loop*, which begins each run at its own time.
Celery's tick keeps both alive (`health.tasks`); any number of probers share the work by claims.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from health.checks.base import Member
from health.choices import ResultStatus, RunCause
from health.prober.probes import Probes
from health.prober.running import Probe, Runner
from health.services.claims import Claim, claim_due, release
from health.services.results import Result, probes_tell, results_record
from health.services.staleness import clock_mend, stale_mark

log = logging.getLogger(__name__)

# Claims reach this far ahead, several rounds, so that a slow round makes no run late.
AHEAD: Final = timedelta(seconds=1.5)
ROUND_SECONDS: Final = 0.4
# Longer than that between two rounds, and the process was frozen, or the clock moved.
LOST_SECONDS: Final = 5.0
MEND_SECONDS: Final = 10.0
TELL_SECONDS: Final = 5.0
REST_SECONDS: Final = 2.0
LARGEST_BATCH: Final = 1_000


class Prober:
    """Runs checks until it is stopped. `start` and `stop` may be called from any thread."""

    def __init__(
        self,
        *,
        runner: Callable[[], Runner],
        concurrency: int,
        rng: random.Random | None = None,
    ) -> None:
        self._make_runner = runner
        self._concurrency = concurrency
        self._rng = rng or random.Random()  # noqa: S311  jitter is no secret
        self._probes = Probes()
        self._finished: deque[Result] = deque()
        self._lock = threading.Lock()
        self._running = 0
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._runner: Runner | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- Life

    def start(self) -> None:
        """Begin to claim and run; does nothing while it does so already."""
        if self.alive:
            return
        self._stopping.clear()
        self._running = 0
        ready = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_loop, args=(ready,), name="prober-loop", daemon=True),
            threading.Thread(target=self._store, args=(ready,), name="prober-store", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether both threads run."""
        return bool(self._threads) and all(each.is_alive() for each in self._threads)

    def stop(self, seconds: float = 5.0) -> None:
        """Claim nothing more, write what is finished, give back what is not begun or not done."""
        self._stopping.set()
        self._wake.set()
        deadline = time.monotonic() + seconds
        for thread in reversed(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads = []

    # --- The event loop

    def _run_loop(self, ready: threading.Event) -> None:
        try:
            import uvloop

            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        except ImportError:
            loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        self._runner = self._make_runner()
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _one(self, claim: Claim, probe: Probe, members: tuple[Member, ...]) -> None:
        wait = (claim.due_at - datetime.now(UTC)).total_seconds()
        if wait > 0:
            await asyncio.sleep(wait)
        began = datetime.now(UTC)
        late = max(0.0, (began - claim.due_at).total_seconds() * 1000)
        try:
            assert self._runner is not None
            result = await self._runner.run(claim, probe, members=members, cause=_cause(claim))
        except Exception as error:
            # A run that vanished would hold its check until the lease ends.
            log.exception("the run of check %s ended in an error", claim.name)
            output = f"internal error: {type(error).__name__}"
            result = Result(claim, began, ResultStatus.INTERNAL_ERROR, output)
        self._finish(replace(result, late_ms=late))

    def _finish(self, result: Result) -> None:
        with self._lock:
            self._finished.append(result)
            self._running -= 1

    def _begin(self, work: Sequence[tuple[Claim, Probe, tuple[Member, ...]]]) -> None:
        for claim, probe, members in work:
            task = asyncio.ensure_future(self._one(claim, probe, members))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _give_up(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # --- The store

    def _store(self, ready: threading.Event) -> None:
        ready.wait()
        claimed: dict[tuple[object, int], Claim] = {}
        mended = told = 0.0
        last_round = float("-inf")
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                if began - last_round > LOST_SECONDS or began - mended > MEND_SECONDS:
                    mended = began
                    now = datetime.now(UTC)
                    clock_mend(now=now)
                    stale_mark(now=now)
                if self._write(claimed) and began - told > TELL_SECONDS:
                    told = began
                    probes_tell()
                self._claim(claimed)
                last_round = time.monotonic()
            except (DatabaseError, InterfaceError) as error:
                log.warning("checks wait for the database: %s", str(error).partition("\n")[0])
                connection.close()
                self._stopping.wait(REST_SECONDS)
            self._wake.wait(max(0.0, ROUND_SECONDS - (time.monotonic() - began)))
            self._wake.clear()
        self._end(claimed)

    def _write(self, claimed: dict[tuple[object, int], Claim]) -> bool:
        wrote = False
        while self._finished:
            batch = list(self._finished)[:LARGEST_BATCH]
            results_record(results=batch, now=datetime.now(UTC), rng=self._rng)
            for result in batch:
                self._finished.popleft()
                claimed.pop((result.claim.check_id, result.claim.fence), None)
            wrote = True
        return wrote

    def _claim(self, claimed: dict[tuple[object, int], Claim]) -> None:
        room = self._concurrency - self._running
        if room <= 0:
            return
        now = datetime.now(UTC)
        claims = claim_due(now=now, until=now + AHEAD, limit=room)
        if not claims:
            return
        ready, broken = self._probes.of(claims)
        with self._lock:
            self._running += len(claims)
        claimed.update({(each.check_id, each.fence): each for each in claims})
        for claim, reason in broken:
            self._finish(Result(claim, now, ResultStatus.INTERNAL_ERROR, reason))
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._begin, ready)

    def _end(self, claimed: dict[tuple[object, int], Claim]) -> None:
        """What is finished is written, the rest is due again for whoever comes next."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._give_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        try:
            self._write(claimed)
            release(claims=list(claimed.values()))
        except (DatabaseError, InterfaceError) as error:
            # Their leases end by themselves.
            log.warning("claims could not be given back: %s", str(error).partition("\n")[0])
        finally:
            close_old_connections()
            connection.close()


def _cause(claim: Claim) -> str:
    suspected = claim.suspected_until is not None and claim.suspected_until > claim.due_at
    return RunCause.SUSPICION if suspected or claim.own.undecided else RunCause.SCHEDULED
