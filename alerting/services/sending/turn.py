"""One turn of the sender: everything that is due, each marked as soon as it is known."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from typing import Final
from uuid import UUID

from alerting.services.sending.attempts import Attempted, attempt
from alerting.services.sending.claims import Claim, claim_due, claim_one
from alerting.services.sending.marking import attempt_mark
from alerting.services.sending.passing import pages_pass_on
from alerting.services.sending.settling import settle

# Seconds after which a turn claims nothing more; the next one goes on.
_TURN_SECONDS: Final = 30.0
_random: Final = random.Random()  # noqa: S311
_Ended = tuple[Claim, asyncio.Task[Attempted]]


def deliveries_send(*, now: datetime, rng: random.Random = _random) -> int:
    """Send what is due; gives how many attempts were made. Any number may run at the same time.

    Deliveries whose channel cannot be used go by the fallback first, and those that are too old
    are given up; pages that their channels do not take soon go by others, too.
    """
    began = time.monotonic()
    attempts = 0
    while True:
        elapsed = time.monotonic() - began
        at = now + timedelta(seconds=elapsed)
        settle(now=at)
        claims = claim_due(now=at) if elapsed < _TURN_SECONDS else []
        if not claims:
            # What could be tried was: whoever takes what failed is told at once.
            if elapsed < _TURN_SECONDS and pages_pass_on(now=at):
                continue
            return attempts
        # Looking for them took its time, too: what receivers ask for counts from when they do.
        _send(claims, _since(now, began), rng)
        attempts += len(claims)


def delivery_send_now(*, delivery_id: UUID, now: datetime, rng: random.Random = _random) -> bool:
    """Send one delivery whatever the state of its channel; whether this call tried it."""
    began = time.monotonic()
    claim = claim_one(delivery_id=delivery_id, now=now)
    if claim is not None:
        _send([claim], _since(now, began), rng)
    return claim is not None


def _since(now: datetime, began: float) -> datetime:
    """What time it is, as it was `now` when the monotonic clock said `began`."""
    return now + timedelta(seconds=time.monotonic() - began)


def _send(claims: Sequence[Claim], at: datetime, rng: random.Random) -> None:
    """Try all of them side by side, in a thread of its own: while one is marked here, where alone
    the database is used, the others go on, and their deadlines measure their receivers.

    One that cannot be marked keeps none of the others from it: what went wrong is raised at the
    end, as an `ExceptionGroup`, and it is sent again once its lease is over.
    """
    began = time.monotonic()
    failed: list[Exception] = []
    ended: SimpleQueue[_Ended | None] = SimpleQueue()
    with ThreadPoolExecutor(1, thread_name_prefix="deliveries") as threads:
        trying = threads.submit(_try_all, claims, at, ended.put)
        while (each := ended.get()) is not None:
            claim, task = each
            try:
                now = _since(at, began)
                attempt_mark(claim=claim, attempted=task.result(), now=now, rng=rng)
            except Exception as error:
                failed.append(error)
        trying.result()
    if failed:
        raise ExceptionGroup(f"{len(failed)} deliveries could not be marked", failed)


def _try_all(claims: Sequence[Claim], at: datetime, tell: Callable[[_Ended | None], None]) -> None:
    """Tell of each claim as soon as it was tried; of the end by None."""
    try:
        asyncio.run(_tried(claims, at, tell))
    finally:
        tell(None)


async def _tried(claims: Sequence[Claim], at: datetime, tell: Callable[[_Ended], None]) -> None:
    tasks = []
    for claim in claims:
        task = asyncio.create_task(attempt(claim, at))
        task.add_done_callback(partial(_tell, claim, tell))
        tasks.append(task)
    await asyncio.wait(tasks)


def _tell(claim: Claim, tell: Callable[[_Ended], None], task: asyncio.Task[Attempted]) -> None:
    tell((claim, task))
