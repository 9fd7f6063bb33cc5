"""One life of a prober: two threads and what they share, from their start to their end.

*store* holds the only database connection: it writes finished runs, claims what falls due within
the next moments and hands that to *loop*, which begins each run at its own time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from health.checks.base import Member
from health.choices import ResultStatus, RunCause
from health.prober.ledger import Ledger
from health.prober.probes import Probes
from health.prober.running import Probe, Runner
from health.services.claims import Claim, claim_due
from health.services.results import Result, probes_tell
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
# What runs that are given up may take to end.
ENDING_SECONDS: Final = 2.0
# Runs that wait for their turn at a host take no place from others, up to so many.
MOST_WAITING: Final = 5_000


class Life:
    """Runs checks from `begin` to `end`, once."""

    def __init__(self, *, runner: Runner, concurrency: int, rng: random.Random) -> None:
        self._runner = runner
        self._concurrency = concurrency
        self._probes = Probes()
        self._ledger = Ledger(rng)
        self._stopping = threading.Event()
        self._loop = _new_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop_thread = threading.Thread(target=self._run, name="prober-loop", daemon=True)
        self._store_thread = threading.Thread(target=self._store, name="prober-store", daemon=True)

    def begin(self) -> None:
        """Begin to claim and run."""
        self._loop_thread.start()
        self._store_thread.start()

    @property
    def alive(self) -> bool:
        """Whether both threads run."""
        return self._loop_thread.is_alive() and self._store_thread.is_alive()

    def end(self, seconds: float) -> None:
        """Claim nothing more, write what is finished, give back the rest; waits for at most
        `seconds`. One that takes longer ends by itself."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        for thread in (self._store_thread, self._loop_thread):
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
            elif self._loop_thread.is_alive():
                # Whoever would have ended the loop is gone.
                self._loop.call_soon_threadsafe(self._loop.stop)

    # --- The event loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def _start(self, work: Sequence[tuple[Claim, Probe, tuple[Member, ...]]]) -> None:
        for claim, probe, members in work:
            task = asyncio.ensure_future(self._one(claim, probe, members))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, claim: Claim, probe: Probe, members: tuple[Member, ...]) -> None:
        wait = (claim.due_at - datetime.now(UTC)).total_seconds()
        if wait > 0:
            await asyncio.sleep(wait)
        try:
            result = await self._runner.run(claim, probe, members=members, cause=_cause(claim))
        except Exception as error:
            # A run that vanished would hold its check until the lease ends.
            log.exception("the run of check %s ended in an error", claim.name)
            output = f"internal error: {type(error).__name__}"
            result = Result(claim, datetime.now(UTC), ResultStatus.INTERNAL_ERROR, output)
        late = max(0.0, (result.started_at - claim.due_at).total_seconds() * 1000)
        self._ledger.finish(replace(result, late_ms=late))

    async def _give_up(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=ENDING_SECONDS)

    # --- The store

    def _store(self) -> None:
        mended = told = last_round = float("-inf")
        while not self._stopping.is_set() and self._loop_thread.is_alive():
            began = time.monotonic()
            try:
                if began - last_round > LOST_SECONDS or began - mended > MEND_SECONDS:
                    mended = began
                    now = datetime.now(UTC)
                    clock_mend(now=now)
                    stale_mark(now=now)
                if self._ledger.write() and began - told > TELL_SECONDS:
                    told = began
                    probes_tell()
                self._claim()
                last_round = time.monotonic()
            except (DatabaseError, InterfaceError) as error:
                log.warning("checks wait for the database: %s", str(error).partition("\n")[0])
                self._rest()
            except Exception:
                # Whatever it is, all other checks go on.
                log.exception("a round of checks ended in an error")
                self._rest()
            self._stopping.wait(max(0.0, ROUND_SECONDS - (time.monotonic() - began)))
        self._end()

    def _rest(self) -> None:
        connection.close()
        self._stopping.wait(REST_SECONDS)

    def _claim(self) -> None:
        waiting = min(self._runner.waiting, MOST_WAITING)
        room = self._concurrency + waiting - self._ledger.running
        if room <= 0:
            return
        now = datetime.now(UTC)
        claims = claim_due(now=now, until=now + AHEAD, limit=min(room, self._concurrency))
        if not claims:
            return
        ready, broken = self._probes.of(claims)
        self._ledger.enter(claims)
        for claim, reason in broken:
            self._ledger.finish(Result(claim, now, ResultStatus.INTERNAL_ERROR, reason))
        self._loop.call_soon_threadsafe(self._start, ready)

    def _end(self) -> None:
        """What is finished is written, the rest is due again for whoever comes next."""
        if self._loop_thread.is_alive():
            given_up = asyncio.run_coroutine_threadsafe(self._give_up(), self._loop)
            _, left = concurrent.futures.wait([given_up], timeout=2 * ENDING_SECONDS)
            if left:
                log.warning("the event loop of checks does not answer; it is left to itself")
            self._loop.call_soon_threadsafe(self._loop.stop)
        try:
            self._ledger.write()
            self._ledger.release()
        except (DatabaseError, InterfaceError) as error:
            # Their leases end by themselves.
            log.warning("claims could not be given back: %s", str(error).partition("\n")[0])
        finally:
            close_old_connections()
            connection.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _cause(claim: Claim) -> str:
    if claim.pushed_at is not None and claim.pushed_at == claim.due_at:
        # The heartbeat made it due.
        return RunCause.PUSHED
    suspected = claim.suspected_until is not None and claim.suspected_until > claim.due_at
    return RunCause.SUSPICION if suspected or claim.own.undecided else RunCause.SCHEDULED
