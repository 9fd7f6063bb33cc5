"""Retries by the story's dictionaries and variables, and its `RetryManager`."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from breakers.runtime import checks
from breakers.runtime.backoff import backoff
from breakers.runtime.classification import classify
from breakers.runtime.defaults import RETRY_POLICIES
from breakers.runtime.failure_codes import Classification
from breakers.runtime.retry import Retry
from breakers.runtime.retry_budget import RetryBudget
from breakers.runtime.retry_policy import RetryPolicy, RetryResult
from breakers.runtime.variables import ClientVariables

BUDGET_WINDOW = 60.0
_MAX_BUDGETS = 1000
_ENTRIES = {
    Classification.TRANSIENT: "transient_errors",
    Classification.RATE_LIMITED: "rate_limiting",
    Classification.AUTHENTICATION: "authentication",
}


def standard_policy(variables: ClientVariables) -> RetryPolicy:
    """The policy for what no entry of RETRY_POLICIES is meant for, by the variables of retries."""
    base, longest = variables.retry_base_delay_ms / 1000, variables.retry_max_delay_ms / 1000
    return RetryPolicy(
        max_attempts=variables.retry_max_attempts if variables.retry_enabled else 1,
        base_delay=min(base, longest),
        max_delay=longest,
        jitter="full" if variables.retry_jitter_enabled else None,
    )


def policies_by_classification(
    variables: ClientVariables,
) -> dict[Classification, RetryPolicy]:
    """RETRY_POLICIES for the kinds of failures that they are meant for.

    A variable that is set counts for all of them.
    """
    standard = standard_policy(variables)
    found = {}
    for classification, name in _ENTRIES.items():
        entry = {key: value for key, value in RETRY_POLICIES[name].items() if key != "exceptions"}
        policy = RetryPolicy.from_dict(
            entry, jitter=standard.jitter, classifications=(classification,)
        )
        if variables.is_set("RETRY_MAX_ATTEMPTS") or not variables.retry_enabled:
            policy = replace(policy, max_attempts=standard.max_attempts)
        longest = standard.max_delay if variables.is_set("RETRY_MAX_DELAY_MS") else policy.max_delay
        base = standard.base_delay if variables.is_set("RETRY_BASE_DELAY_MS") else policy.base_delay
        found[classification] = replace(policy, base_delay=min(base, longest), max_delay=longest)
    return found


def standard_budget(
    variables: ClientVariables, *, clock: Callable[[], float] = time.monotonic
) -> RetryBudget | None:
    """A budget of RETRY_BUDGET_LIMIT retries in 60 seconds; None where budgets are switched off."""
    if not variables.retry_budget_enabled:
        return None
    return RetryBudget(window=BUDGET_WINDOW, limit=variables.retry_budget_limit, clock=clock)


class RetryManager:
    """Runs operations with retries; each operation id has a budget of its own."""

    def __init__(
        self,
        variables: ClientVariables | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        async_sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._variables = variables or ClientVariables()
        self._clock = clock
        self._chance = chance
        self._sleep = async_sleep
        self._lock = threading.Lock()
        self._budgets: OrderedDict[str, RetryBudget | None] = OrderedDict()

    async def execute_with_retry(
        self, operation: Callable[..., Any], retry_policy: RetryPolicy
    ) -> RetryResult[Any]:
        """Call `operation` without arguments, again where that helps.

        Its failure is in the result; `result.unwrap()` raises it.
        """
        if not self._variables.retry_enabled:
            retry_policy = replace(retry_policy, max_attempts=1)
        name = getattr(operation, "__qualname__", type(operation).__name__)
        retry = Retry(
            name,
            retry_policy,
            budget=self.budget(name),
            clock=self._clock,
            chance=self._chance,
            async_sleep=self._sleep,
        )
        return await retry.execute(operation)

    async def calculate_backoff(
        self, attempt: int, base_delay: float, max_delay: float, jitter: bool = True
    ) -> float:
        """Seconds to wait after failed attempt number `attempt`, counted from 1.

        Without jitter min(max_delay, base_delay · 2^(attempt−1)), with jitter uniform from 0 to it.
        """
        checks.count("attempt", attempt)
        checks.seconds("base_delay", base_delay, zero=True)
        checks.seconds("max_delay", max_delay, zero=True)
        kind = "full" if jitter else None
        return backoff(attempt, base_delay, max_delay, kind, chance=self._chance)  # type: ignore[arg-type]

    async def should_retry(
        self, exception: BaseException, attempt: int, retry_policy: RetryPolicy
    ) -> bool:
        """Whether the failure of attempt number `attempt` is worth another one."""
        return (
            self._variables.retry_enabled
            and attempt < retry_policy.max_attempts
            and retry_policy.covers(exception, classify(exception))
        )

    async def track_retry_budget(self, operation_id: str) -> bool:
        """Take one retry from the operation's budget; false when it is used up."""
        budget = self.budget(operation_id)
        return budget is None or budget.try_spend()

    def budget(self, operation_id: str) -> RetryBudget | None:
        """The budget of an operation; None where budgets are switched off."""
        with self._lock:
            if operation_id not in self._budgets:
                self._budgets[operation_id] = standard_budget(self._variables, clock=self._clock)
                if len(self._budgets) > _MAX_BUDGETS:
                    self._budgets.popitem(last=False)
            self._budgets.move_to_end(operation_id)
            return self._budgets[operation_id]
