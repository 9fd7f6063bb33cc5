"""One turn of the sender: everything that is due, each marked as soon as it is known."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from alerting.services.sending.attempts import Attempted, attempt
from alerting.services.sending.claims import Claim, claim_due, claim_one
from alerting.services.sending.marking import attempt_mark
from alerting.services.sending.settling import settle

# Seconds after which a turn claims nothing more; the next one goes on.
_TURN_SECONDS: Final = 30.0
_random: Final = random.Random()  # noqa: S311


def deliveries_send(*, now: datetime, rng: random.Random = _random) -> int:
    """Send what is due; gives how many attempts were made. Any number may run at the same time.

    Deliveries whose channel cannot be used go by the fallback first, and those that are too old
    are given up.
    """
    began = time.monotonic()
    attempts = 0
    while True:
        elapsed = time.monotonic() - began
        at = now + timedelta(seconds=elapsed)
        settle(now=at)
        claims = claim_due(now=at) if elapsed < _TURN_SECONDS else []
        if not claims:
            return attempts
        _send(claims, at, rng)
        attempts += len(claims)


def delivery_send_now(*, delivery_id: UUID, now: datetime, rng: random.Random = _random) -> bool:
    """Send one delivery whatever the state of its channel; whether this call tried it."""
    claim = claim_one(delivery_id=delivery_id, now=now)
    if claim is not None:
        _send([claim], now, rng)
    return claim is not None


def _send(claims: Sequence[Claim], at: datetime, rng: random.Random) -> None:
    """Try all of them side by side.

    The loop stands still while one is marked, as the database is used from this thread alone.
    """
    began = time.monotonic()
    with asyncio.Runner() as runner:
        running = runner.run(_begun(claims, at))
        while running:
            for task in runner.run(_ended(running)):
                now = at + timedelta(seconds=time.monotonic() - began)
                attempt_mark(claim=running.pop(task), attempted=task.result(), now=now, rng=rng)


async def _begun(claims: Sequence[Claim], at: datetime) -> dict[asyncio.Task[Attempted], Claim]:
    return {asyncio.create_task(attempt(claim, at)): claim for claim in claims}


async def _ended(
    running: dict[asyncio.Task[Attempted], Claim],
) -> set[asyncio.Task[Attempted]]:
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    return done
