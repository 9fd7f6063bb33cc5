"""Retries: another attempt where it helps, after a wait that spreads, within what is left.

    retry = Retry("microsoft_graph", RetryPolicy(max_attempts=3), budget=RetryBudget())

    tasks = await retry.call(client.get, url)      # or call_sync, @retry

A retry that gives up raises the failure of the last attempt as it is. It gives up where the kind
of failure will not pass, the attempts or a budget are used up, or the wait would outlast the
deadline. No slot of a bulkhead is held during a wait.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar, cast

from breakers.runtime import deadlines, events, streams, waiting
from breakers.runtime.backoff import backoff
from breakers.runtime.classification import Verdict, classify
from breakers.runtime.errors import RetryBudgetExhausted
from breakers.runtime.failure_codes import Classification
from breakers.runtime.retry_budget import (
    RetryBudget,
    give_extra_back,
    request_attempts,
    take_extra,
)
from breakers.runtime.retry_policy import Outcome, RetryPolicy, RetryResult

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Retry:
    """Calls again what failed. `by_classification` has policies for single kinds of failures.

    `sleep` and `async_sleep` take seconds; `chance` is uniform from 0 to 1; `clock` is monotonic.
    """

    __slots__ = (
        "_by_classification", "_chance", "_clock", "_extra", "_sleep", "_sleep_async", "budget",
        "name", "policy",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        policy: RetryPolicy | None = None,
        *,
        budget: RetryBudget | None = None,
        by_classification: Mapping[Classification, RetryPolicy] | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], object] = time.sleep,
        async_sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.policy = policy or RetryPolicy()
        self.budget = budget
        self._by_classification = dict(by_classification or {})
        self._clock = clock
        self._chance = chance
        self._sleep = sleep
        self._sleep_async = async_sleep
        policies = (self.policy, *self._by_classification.values())
        # The outermost retry of a request says how many further attempts it has in all.
        self._extra = max(each.max_attempts for each in policies) - 1

    # --- Calls

    def call_sync(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call `func`, again where that helps; raises what its last attempt raised."""
        return self._around_plain(func)(*args, **kwargs)

    async def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """The same for a coroutine function, or for a plain one."""
        return await self._around_coroutine(func)(*args, **kwargs)

    def execute_sync(self, func: Callable[..., R], /, *args: Any, **kwargs: Any) -> RetryResult[R]:
        """The same, with a report in place of the last failure."""
        trial = _Trial(self)
        if self.budget is not None:
            self.budget.record_call()
        token = request_attempts.set(_extra_of_request(self._extra))
        try:
            return trial.result(self._again(trial, None, func, args, kwargs), None)
        except Exception as error:
            return trial.result(None, error)
        finally:
            request_attempts.reset(token)

    async def execute(
        self, func: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> RetryResult[Any]:
        """The same for a coroutine function, or for a plain one."""
        trial = _Trial(self)
        if self.budget is not None:
            self.budget.record_call()
        token = request_attempts.set(_extra_of_request(self._extra))
        try:
            return trial.result(await self._again_async(trial, None, func, args, kwargs), None)
        except Exception as error:
            return trial.result(None, error)
        finally:
            request_attempts.reset(token)

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Retry every call of `func`. A generator is retried only until its first item is there."""
        wrapper: Callable[..., Any]
        if inspect.isasyncgenfunction(func):
            wrapper = streams.restartable_async(self.call, func)
        elif inspect.isgeneratorfunction(func):
            wrapper = streams.restartable(self.call_sync, func)
        elif inspect.iscoroutinefunction(func):
            wrapper = self._around_coroutine(func)
        else:
            wrapper = self._around_plain(func)
        return cast("Callable[P, R]", functools.wraps(func)(wrapper))

    def _around_plain(self, func: Callable[..., Any]) -> Callable[..., Any]:
        record = None if self.budget is None else self.budget.record_call
        extra, judges = self._extra, self.policy.retry_result is not None

        def retried(*args: Any, **kwargs: Any) -> Any:
            if record is not None:
                record()
            token = None
            if request_attempts.get() is None:
                token = request_attempts.set([extra])
            try:
                try:
                    result = func(*args, **kwargs)
                except Exception as error:
                    trial = _Trial(self)
                    wait = trial.failed(error)
                    if wait is None:
                        raise
                else:
                    if not judges or not self._unwanted(result):
                        return result
                    trial = _Trial(self)
                    wait = trial.failed(None)
                    if wait is None:
                        return result
                return self._again(trial, wait, func, args, kwargs)
            finally:
                if token is not None:
                    request_attempts.reset(token)

        return retried

    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        record = None if self.budget is None else self.budget.record_call
        extra, judges = self._extra, self.policy.retry_result is not None

        async def retried(*args: Any, **kwargs: Any) -> Any:
            if record is not None:
                record()
            token = None
            if request_attempts.get() is None:
                token = request_attempts.set([extra])
            try:
                try:
                    result = func(*args, **kwargs)
                    if type(result) is CoroutineType or isinstance(result, Awaitable):
                        result = await result
                except Exception as error:
                    trial = _Trial(self)
                    wait = trial.failed(error)
                    if wait is None:
                        raise
                else:
                    if not judges or not self._unwanted(result):
                        return result
                    trial = _Trial(self)
                    wait = trial.failed(None)
                    if wait is None:
                        return result
                return await self._again_async(trial, wait, func, args, kwargs)
            finally:
                if token is not None:
                    request_attempts.reset(token)

        return retried

    # --- Further attempts

    def _again(
        self, trial: _Trial, wait: float | None, func: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        while True:
            if wait is not None:
                waiting.pause(wait, self._sleep)
            try:
                result = func(*args, **kwargs)
            except Exception as error:
                wait = trial.failed(error)
                if wait is None:
                    raise
                continue
            if not self._unwanted(result):
                trial.succeeded()
                return result
            wait = trial.failed(None)
            if wait is None:
                return result

    async def _again_async(
        self, trial: _Trial, wait: float | None, func: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        while True:
            if wait is not None:
                await waiting.pause_async(wait, self._sleep_async)
            try:
                result = func(*args, **kwargs)
                if isinstance(result, Awaitable):
                    result = await result
            except Exception as error:
                wait = trial.failed(error)
                if wait is None:
                    raise
                continue
            if not self._unwanted(result):
                trial.succeeded()
                return result
            wait = trial.failed(None)
            if wait is None:
                return result

    def _unwanted(self, result: object) -> bool:
        judge = self.policy.retry_result
        if judge is None:
            return False
        try:
            return bool(judge(result))
        except Exception:
            logger.exception("retry_result of the retry %r failed", self.name)
            return False


def _extra_of_request(extra: int) -> list[int]:
    held = request_attempts.get()
    return [extra] if held is None else held


class _Trial:
    """One call with its attempts, from the first failure on."""

    __slots__ = ("attempt", "began", "delays", "outcome", "retry", "verdict")

    def __init__(self, retry: Retry) -> None:
        self.retry = retry
        self.attempt = 1
        self.began = retry._clock()
        self.delays: list[float] = []
        self.outcome: Outcome = "succeeded"
        self.verdict = Verdict(Classification.UNKNOWN, "")

    def failed(self, error: Exception | None) -> float | None:
        """Seconds until the next attempt, or None: give up. Without an error, its result failed."""
        retry = self.retry
        verdict = (
            Verdict(Classification.UNKNOWN, "its result") if error is None else classify(error)
        )
        policy = retry._by_classification.get(verdict.classification, retry.policy)
        self.verdict = verdict
        wait = self._wait(policy)
        reason = self._reason_to_stop(policy, error, wait)
        if reason is not None:
            self.outcome = reason
            if reason != "not_retried" or self.delays:
                self._tell(reason)
            return None
        self._tell("retried", wait)
        self.delays.append(wait)
        self.attempt += 1
        return wait

    def succeeded(self) -> None:
        """The last attempt was good."""
        self.outcome = "succeeded"
        if self.delays:
            self._tell("succeeded")

    def result(self, value: Any, error: BaseException | None) -> RetryResult[Any]:
        """The report."""
        return RetryResult(
            outcome=self.outcome,
            attempts=self.attempt,
            value=value,
            error=error,
            elapsed=self.retry._clock() - self.began,
            delays=tuple(self.delays),
            classification=None if self.outcome == "succeeded" else self.verdict.classification,
            exhausted=self._exhausted(),
        )

    def _exhausted(self) -> RetryBudgetExhausted | None:
        whose = {"budget_exhausted": "its callers", "request_budget": "this request"}
        who = whose.get(self.outcome)
        if who is None:
            return None
        return RetryBudgetExhausted(f"{self.retry.name}: {who} may make no further attempts")

    def _wait(self, policy: RetryPolicy) -> float:
        wait = backoff(
            self.attempt,
            policy.base_delay,
            policy.max_delay,
            policy.jitter,  # type: ignore[arg-type]  # the policy has made words of True and False
            previous=self.delays[-1] if self.delays else policy.base_delay,
            chance=self.retry._chance,
        )
        asked = self.verdict.retry_after
        return wait if asked is None else max(wait, min(asked, policy.max_retry_after))

    def _reason_to_stop(
        self, policy: RetryPolicy, error: Exception | None, wait: float
    ) -> Outcome | None:
        if error is not None and not policy.covers(error, self.verdict):
            return "not_retried"
        if self.attempt >= policy.max_attempts:
            return "exhausted"
        left = deadlines.remaining()
        if left is not None and wait >= left:
            return "deadline"
        # The request's own first: a retry that it may not make is not taken from all the others.
        extra = request_attempts.get()
        if extra is not None and not take_extra(extra):
            return "request_budget"
        budget = self.retry.budget
        if budget is not None and not budget.try_spend():
            if extra is not None:
                give_extra_back(extra)
            events.emit(
                "resilience.retry.budget_exhausted", {"resilience.dependency": self.retry.name}
            )
            return "budget_exhausted"
        return None

    def _tell(self, outcome: str, wait: float = 0.0) -> None:
        events.emit(
            "resilience.retry.attempt",
            {
                "resilience.dependency": self.retry.name,
                "resilience.retry.attempt": self.attempt,
                "resilience.retry.outcome": outcome,
                "resilience.retry.delay_ms": wait * 1000,
                "resilience.retry.classification": self.verdict.classification.value,
            },
        )
