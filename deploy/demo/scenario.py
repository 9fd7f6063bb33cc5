"""The faults that the demo walks through in a loop: those of Graph by the simulator's switch, a leak
of the planner's pool, and deploys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import httpx

logger = logging.getLogger(__name__)

# A fault outlives its phase by this many seconds where nobody is left to switch it off.
_GRACE = 5.0
# Rounds, about half an hour: what was before a version and what after it are both seen.
DEPLOY_EVERY = 13
# Rounds, about four hours: a heal is seen at once, and a day of the demo stays within the budget of
# heals that a target has.
LEAK_EVERY = 100


@dataclass(frozen=True)
class Fault:
    """A fault of the Graph simulator; `seconds` where it ends before its phase does."""

    kind: str
    rate: float = 1.0
    value: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Phase:
    """`seconds` with these faults. Every so many rounds one that `deploys` begins with a new
    version, and one that `leaks` with a pool of which no connection comes back."""

    name: str
    seconds: float
    faults: tuple[Fault, ...] = ()
    deploys: bool = False
    leaks: bool = False


PHASES = (
    Phase("calm", 15, leaks=True),
    Phase("throttling", 25, (Fault("throttle", rate=0.6, value=3),)),
    # First slow but answered, then slower than the planner is ready to wait.
    Phase("slow", 12, (Fault("latency", rate=0.8, value=1.5),)),
    Phase("slower", 13, (Fault("latency", rate=0.5, value=5),)),
    Phase("outage", 25, (Fault("unavailable", rate=0.7), Fault("reset", rate=0.4))),
    # No new token matters only to those whose old one is refused.
    Phase("auth outage", 25, (Fault("auth"), Fault("token", seconds=5))),
    Phase("recovery", 10),
    # Far from the faults: what comes of it is told apart from what comes of them.
    Phase("deploy", 15, deploys=True),
)


class FaultSwitch:
    """Puts phases into effect; touches no kinds of fault that no phase has used."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=5)
        self._set: set[str] = set()

    async def close(self) -> None:
        await self._http.aclose()

    async def apply(self, phase: Phase) -> None:
        """Raises httpx.HTTPError where the simulator cannot be reached."""
        await self.clear()
        for fault in phase.faults:
            whole = fault if fault.seconds else replace(fault, seconds=phase.seconds + _GRACE)
            body = {name: value for name, value in vars(whole).items() if value is not None}
            self._set.add(fault.kind)
            (await self._http.put("/_faults", json=body)).raise_for_status()

    async def clear(self) -> None:
        """Raises httpx.HTTPError where the simulator cannot be reached."""
        for kind in sorted(self._set):
            (await self._http.delete("/_faults", params={"kind": kind})).raise_for_status()
            self._set.discard(kind)


async def _nothing() -> None:
    """A planner without a switch for faults."""


async def walk(
    switch: FaultSwitch,
    phases: Sequence[Phase] = PHASES,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    deploy: Callable[[], object] = lambda: None,
    leak: Callable[[], Awaitable[None]] = _nothing,
) -> None:
    """Walk through the phases again and again until cancelled; then clear what was set."""
    try:
        for walked in count():
            for phase in phases:
                logger.info("Scenario: %s for %g s", phase.name, phase.seconds)
                await _try(switch.apply(phase))
                if phase.deploys and walked % DEPLOY_EVERY == 0:
                    deploy()
                if phase.leaks and walked % LEAK_EVERY == 0:
                    await leak()
                await sleep(phase.seconds)
    finally:
        await _try(switch.clear())


async def _try(step: Awaitable[None]) -> None:
    try:
        await step
    except httpx.HTTPError as error:
        logger.warning("The fault switch does not answer (%s)", type(error).__name__)
