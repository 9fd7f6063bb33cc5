"""One run of one check: bounded in time, and never more than one for the same question.

Whatever a kind raises becomes a result: what it says of the target (`Failed`), or an error of the
check itself. Its words are cleaned of the target's secrets before they leave.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import psutil

from health.checks.addresses import Addresses, Forbidden
from health.checks.base import CheckKind, Context, Failed, Finding, Inconclusive, Member
from health.choices import ResultStatus, RunCause
from health.prober.connectivity import Connectivity, is_local
from health.services.claims import Claim
from health.services.results import Result

log = logging.getLogger(__name__)

# What a run that was cancelled may take to close its sockets, before it is left to itself.
CLOSING_SECONDS: Final = 1.0
# A run that ends so long after its timeout was not looked at in time: the process was frozen, or
# had no processor.
HELD_UP_SECONDS: Final = 2.0
MASK: Final = "***"
# Shorter values would blot out half of a text.
_SHORTEST_SECRET: Final = 4


@dataclass(frozen=True)
class Probe:
    """What is needed to run a check: its kind, its options, and what of them is secret."""

    kind: CheckKind[Any]
    options: Any
    question: str
    hosts: tuple[tuple[str, int], ...]
    secrets: tuple[str, ...] = ()

    def clean(self, text: str) -> str:
        """`text` without any of the secrets."""
        for secret in self.secrets:
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, MASK)
        return text


@dataclass(frozen=True)
class Answer:
    """What a run came to, the same for everybody who asked the same question."""

    status: str
    output: str
    started_at: datetime
    seconds: float
    finding: Finding = field(default_factory=Finding)
    due: datetime | None = None


@dataclass
class _Asked:
    """A run under way, with how many wait for it, and whether it has its turn at its hosts."""

    task: asyncio.Task[Answer] = field(init=False)
    askers: int = 0
    begun: bool = False


class Runner:
    """Runs checks within one event loop, with limits per host."""

    def __init__(
        self,
        *,
        per_host: int,
        addresses: Addresses,
        connectivity: Connectivity,
        deep: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._hosts: defaultdict[tuple[str, int], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(per_host)
        )
        self._addresses = addresses
        self._connectivity = connectivity
        self._deep = deep
        self._now = now
        self._clock = clock
        self._watching_since = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
        self._asked: dict[str, _Asked] = {}
        # Runs that wait for their turn at a host.
        self.waiting = 0

    async def run(
        self,
        claim: Claim,
        probe: Probe,
        *,
        members: tuple[Member, ...] = (),
        cause: str = RunCause.SCHEDULED,
    ) -> Result:
        """Run a claimed check once. Raises nothing but cancellation."""
        if not is_local(probe.hosts):
            self._connectivity.learn()
        asked = self._asked.get(probe.question)
        if asked is None or asked.task.done():
            asked = self._asked[probe.question] = _Asked()
            asked.task = asyncio.create_task(self._ask(asked, claim, probe, members))
            asked.task.add_done_callback(lambda done: self._forget(probe.question, done))
        if not asked.begun:
            asked.askers += 1
            self.waiting += 1
        answer = await asyncio.shield(asked.task)
        status, output = await self._judge(claim, probe, answer)
        finding = answer.finding
        latency = finding.latency_ms if finding.latency_ms is not None else answer.seconds * 1000
        answered = status in (ResultStatus.UP, ResultStatus.DEGRADED)
        limit = claim.degraded_above_ms
        if status == ResultStatus.UP and limit is not None and latency > limit:
            status, output = ResultStatus.DEGRADED, f"took {latency:.0f} ms, more than {limit:g} ms"
        return Result(
            claim=claim,
            started_at=answer.started_at,
            status=status,
            output=probe.clean(output),
            latency_ms=latency if answered else None,
            observed={
                name: {"value": each.value, "unit": each.unit}
                for name, each in finding.observed.items()
            },
            memory=None if finding.memory is None else dict(finding.memory),
            cause=cause,
            next_due_at=answer.due,
        )

    def _forget(self, question: str, done: asyncio.Task[Answer]) -> None:
        asked = self._asked.get(question)
        if asked is not None and asked.task is done:
            del self._asked[question]

    async def _judge(self, claim: Claim, probe: Probe, answer: Answer) -> tuple[str, str]:
        """A failure counts only if this machine has a network."""
        if is_local(probe.hosts):
            return answer.status, answer.output
        if answer.status in (ResultStatus.UP, ResultStatus.DEGRADED):
            self._connectivity.proved()
        elif answer.status == ResultStatus.DOWN and not await self._connectivity.online():
            return (
                ResultStatus.WITHHELD,
                f"this machine has no network, so this says nothing: {answer.output}",
            )
        return answer.status, answer.output

    async def _ask(
        self, asked: _Asked, claim: Claim, probe: Probe, members: tuple[Member, ...]
    ) -> Answer:
        async with AsyncExitStack() as turns:
            try:
                # All in the same order, so that no two wait for each other.
                for host in sorted(set(probe.hosts)):
                    await turns.enter_async_context(self._hosts[host])
            finally:
                asked.begun = True
                self.waiting -= asked.askers
            return await self._bounded(claim, probe, members)

    async def _bounded(self, claim: Claim, probe: Probe, members: tuple[Member, ...]) -> Answer:
        context = Context(
            now=self._now(),
            timeout=claim.pace.timeout,
            addresses=self._addresses,
            deep=self._deep,
            memory=claim.memory,
            members=members,
            interval=claim.pace.interval,
            last_push=claim.pushed_at,
            pushed_status=claim.pushed_status,
            pushed_output=claim.pushed_output,
            watching_since=self._watching_since,
        )
        began = self._clock()
        task = asyncio.ensure_future(probe.kind.run(probe.options, context))
        try:
            done, _ = await asyncio.wait({task}, timeout=claim.pace.timeout)
        except asyncio.CancelledError:
            await _abandon(task, claim)
            raise
        seconds = self._clock() - began
        if not done:
            await _abandon(task, claim)
        late = seconds - claim.pace.timeout
        if late > HELD_UP_SECONDS:
            if done and not task.cancelled():
                task.exception()
            output = f"This process was held up for {late:.0f} s, so the run says nothing"
            return Answer(ResultStatus.WITHHELD, output, context.now, seconds)
        if not done:
            step = context.progress.step or "waiting for an answer"
            output = f"Gave up after {claim.pace.timeout:g} s, {step}"
            return Answer(ResultStatus.DOWN, output, context.now, seconds)
        answer = _answer(task, claim, probe, context.now, seconds)
        return replace(answer, due=probe.kind.due(probe.options, context))


async def _abandon(task: asyncio.Future[Finding], claim: Claim) -> None:
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=CLOSING_SECONDS)
    if not done:
        log.warning("the run of check %s does not end although it was cancelled", claim.name)
        task.add_done_callback(lambda late: late.cancelled() or late.exception())


def _answer(
    task: asyncio.Future[Finding], claim: Claim, probe: Probe, at: datetime, seconds: float
) -> Answer:
    try:
        finding = task.result()
    except Failed as failed:
        finding = Finding(observed=failed.observed, memory=failed.memory)
        return Answer(ResultStatus.DOWN, failed.output, at, seconds, finding)
    except Inconclusive as unclear:
        return Answer(ResultStatus.WITHHELD, unclear.output, at, seconds)
    except Forbidden as forbidden:
        return Answer(ResultStatus.INTERNAL_ERROR, f"refused: {forbidden}", at, seconds)
    except asyncio.CancelledError:
        return Answer(ResultStatus.INTERNAL_ERROR, "the run was cancelled", at, seconds)
    except Exception as error:
        # Kinds answer for what is wrong with a target; what they did not foresee is our own fault.
        log.warning(
            "check %s failed by itself: %s",
            claim.name,
            type(error).__name__,
            exc_info=_quiet(probe, error),
        )
        return Answer(
            ResultStatus.INTERNAL_ERROR,
            f"internal error: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            at,
            seconds,
        )
    status = ResultStatus.DEGRADED if finding.status == "degraded" else ResultStatus.UP
    return Answer(status, finding.output, at, seconds, finding)


def _quiet(probe: Probe, error: BaseException) -> BaseException | None:
    """The error for the log, unless its text or its causes tell a secret."""
    chain: BaseException | None = error
    while chain is not None:
        if probe.clean(str(chain)) != str(chain):
            return None
        chain = chain.__cause__ or chain.__context__
    return error
