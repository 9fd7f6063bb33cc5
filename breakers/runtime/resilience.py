"""Everything that a process protects its calls with, in one place.

    resilience = Resilience()

    @resilience.protect("database", bulkhead="user_operations", timeout=5, idempotent=True)
    async def snapshot(plan_id): ...

A program has one, and reaches it through the functions of `breakers.runtime`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from breakers.runtime import checks
from breakers.runtime.bulkhead import Bulkhead
from breakers.runtime.cache import ResponseCache
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.classification import is_failure
from breakers.runtime.degradation import Degradation
from breakers.runtime.expiry import ExpiryThread
from breakers.runtime.fallback import FallbackHandler
from breakers.runtime.isolation import BulkheadManager
from breakers.runtime.layers import Answers, Key, Layers
from breakers.runtime.registry import BreakerRegistry
from breakers.runtime.reports import Reports
from breakers.runtime.retry import Retry
from breakers.runtime.retry_budget import RetryBudget
from breakers.runtime.retry_manager import (
    policies_by_classification,
    standard_budget,
    standard_policy,
)
from breakers.runtime.retry_policy import CRITICALITIES, Criticality, RetryPolicy
from breakers.runtime.toggles import Toggles
from breakers.runtime.variables import ClientVariables

if TYPE_CHECKING:
    from breakers.runtime.commands import Commands
    from breakers.runtime.error_correlator import ErrorCorrelator
    from breakers.runtime.self_healing import SelfHealingManager

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger(__name__)

_SECTIONS = (
    "version", "service", "breakers", "bulkheads", "isolated", "degraded", "toggles", "commands",
)  # fmt: skip


class Resilience:
    """Breakers, budgets, bulkheads, fallbacks, toggles and degraded modes of one process."""

    def __init__(
        self,
        variables: ClientVariables | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], object] = time.sleep,
        async_sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.variables = variables or ClientVariables()
        self._clock, self._chance = clock, chance
        self._sleep, self._sleep_async = sleep, async_sleep
        self.breakers = BreakerRegistry(self.variables, clock=clock, is_failure=is_failure)
        self.bulkheads = BulkheadManager(
            self.variables,
            breakers=self.breakers.get,
            overridden=self.breakers.overridden,
            clock=clock,
        )
        self.breakers.yield_to(self.bulkheads.hold)
        self.degradation = Degradation(self.variables, clock=clock)
        self.toggles = Toggles(self.variables, clock=clock)
        self.fallbacks = FallbackHandler(degradation=self.degradation, variables=self.variables)
        # Documents and expiries take effect one after the other.
        self._steering = threading.RLock()
        self._expiries = ExpiryThread(self.expire)
        self._reports = Reports(logger)
        self._lock = threading.Lock()
        self._budgets: dict[str, RetryBudget | None] = {}
        self._errors: ErrorCorrelator | None = None
        self._healing: SelfHealingManager | None = None
        self._commands: Commands | None = None

    # The next three are not needed to protect a call. They are made, and imported, where they are
    # first asked for, so that `import breakers.runtime` stays fast.

    @property
    def errors(self) -> ErrorCorrelator:
        """Joins the errors of this process that belong together."""
        from breakers.runtime.error_correlator import ErrorCorrelator

        with self._lock:
            if self._errors is None:
                self._errors = ErrorCorrelator(variables=self.variables)
            return self._errors

    @property
    def healing(self) -> SelfHealingManager:
        """The healing actions of this process."""
        from breakers.runtime.self_healing import SelfHealingManager

        with self._lock:
            if self._healing is None:
                self._healing = SelfHealingManager()
            return self._healing

    @property
    def commands(self) -> Commands:
        """What runs the site's commands."""
        from breakers.runtime.commands import Commands

        healing = self.healing
        with self._lock:
            if self._commands is None:
                self._commands = Commands(self.breakers, healing, clock=self._clock)
            return self._commands

    def breaker(self, name: str, **arguments: Any) -> CircuitBreaker:
        """The breaker `name`; see `BreakerRegistry.breaker`.

        An answer that refuses a call, such as HTTP 404 or a violated constraint, is no failure here.
        """
        return self.breakers.breaker(name, **arguments)

    def bulkhead(self, name: str) -> Bulkhead:
        """The bulkhead of the boundary `name`; see `BulkheadManager.boundary`."""
        return self.bulkheads.boundary(name).bulkhead

    def budget(self, dependency: str) -> RetryBudget | None:
        """The retries that all callers of a dependency share; None where budgets are off."""
        with self._lock:
            if dependency not in self._budgets:
                self._budgets[dependency] = standard_budget(self.variables, clock=self._clock)
            return self._budgets[dependency]

    def budgets(self) -> dict[str, RetryBudget]:
        """The budgets so far, by dependency."""
        with self._lock:
            return {name: budget for name, budget in self._budgets.items() if budget is not None}

    def retry(
        self,
        dependency: str,
        policy: RetryPolicy | None = None,
        *,
        criticality: Criticality = "medium",
        idempotent: bool | None = None,
    ) -> Retry:
        """A retry with the dependency's budget: by `policy`, or by the policies of the story."""
        by_classification = {}
        if policy is None:
            policy = replace(standard_policy(self.variables), idempotent=idempotent)
            by_classification = {
                kind: replace(each, idempotent=idempotent).for_criticality(criticality)
                for kind, each in policies_by_classification(self.variables).items()
            }
            policy = policy.for_criticality(criticality)
        elif not self.variables.retry_enabled:
            policy = replace(policy, max_attempts=1)
        return Retry(
            dependency,
            policy,
            budget=self.budget(dependency),
            by_classification=by_classification if self.variables.retry_enabled else None,
            clock=self._clock,
            chance=self._chance,
            sleep=self._sleep,
            async_sleep=self._sleep_async,
        )

    def protect(
        self,
        dependency: str,
        *,
        criticality: Criticality = "medium",
        fallback: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        cache_key: Key | None = None,
        cache: ResponseCache | None = None,
        except_on: type[BaseException] | tuple[type[BaseException], ...] = (),
        timeout: float | None = None,
        bulkhead: str | Bulkhead | None = None,
        retry: RetryPolicy | Retry | bool = True,
        idempotent: bool | None = None,
        breaker: CircuitBreaker | bool = True,
        key: Key | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Protect every call of a function to `dependency`.

        * `fallback`: functions with the call's arguments that answer where it fails; what is
          registered with `fallbacks` for the dependency comes after them.
        * `cache_key`: a function of the call's arguments; answers are kept under it in `cache`.
        * `except_on`: failures that no fallback may hide, besides answers such as HTTP 404.
        * `timeout`: seconds for everything inside, waits and attempts included.
        * `bulkhead`: a boundary by name (`critical_operations`, …) or a `Bulkhead`.
        * `retry`, `breaker`: one of your own, a policy, or False for none.
        * `idempotent`: whether a call may take place twice; see `RetryPolicy`.
        * `key`: a function of the arguments; each value has a breaker of its own.

        Raises ConfigError for settings that cannot work, at once and not at the first call.
        """
        if not isinstance(dependency, str) or not dependency.strip():
            checks.refuse("dependency", dependency, "the name of what is called")
        if criticality not in CRITICALITIES:
            checks.refuse("criticality", criticality, "critical, high, medium or low")
        if timeout is not None:
            checks.seconds("timeout", timeout)
        if cache_key is not None:
            checks.function("cache_key", cache_key, "the call's arguments")
        guards = bulkhead is not None and self.variables.bulkhead_isolation_enabled
        layers = Layers(
            dependency,
            answers=self._answers(dependency, fallback, cache_key, cache, except_on),
            timeout=timeout,
            bulkhead=self._bulkhead(bulkhead) if guards else None,
            retry=self._retry(dependency, retry, criticality, idempotent),
            breaker=self._breaker(dependency, breaker) if key is None else None,
            breaker_of=self._breaker_of(dependency, key),
        )

        def decorate(func: Callable[P, R]) -> Callable[P, R]:
            checks.function("func", func, "any arguments")
            return cast("Callable[P, R]", layers.around(func))

        return decorate

    def apply(self, document: Mapping[str, Any]) -> None:
        """Work by a control document of the site: breakers, bulkheads, isolation, degraded modes,
        toggles.

        What has an `expires_in` is taken back by a thread when that has passed (with a clock of
        your own, call `expire`). Commands are run by another thread, each once. What this library
        does not know is reported in the log and ignored.
        """
        self._reports.unknown("The control document", document, _SECTIONS)
        with self._steering:
            if "breakers" in document:
                self.breakers.apply(document)
            if "bulkheads" in document:
                self.bulkheads.tune(document)
            if "isolated" in document:
                self.bulkheads.apply(document)
            if "degraded" in document:
                self.degradation.apply(document)
            if "toggles" in document:
                self.toggles.apply(document)
            if "commands" in document:
                self.commands.apply(document)
            ends = self.expire() is not None
        if ends and self._clock is time.monotonic:
            self._expiries.wake()

    def expire(self) -> float | None:
        """Take back what the site decided and what is over by now, each once.

        Returns the seconds until the next end, None where nothing ends.
        """
        with self._steering:
            parts = (self.breakers, self.bulkheads, self.degradation, self.toggles)
            ends = [left for part in parts if (left := part.expire()) is not None]
        return min(ends, default=None)

    def _answers(
        self,
        dependency: str,
        fallback: Callable[..., Any] | Sequence[Callable[..., Any]] | None,
        cache_key: Key | None,
        cache: ResponseCache | None,
        except_on: type[BaseException] | tuple[type[BaseException], ...],
    ) -> Answers | None:
        checks.exceptions("except_on", except_on, empty=True)
        if not self.variables.fallback_enabled:
            return None
        links = [] if fallback is None else [fallback] if callable(fallback) else list(fallback)
        kept = cache_key if self.variables.fallback_cache_enabled else None
        return Answers(
            dependency,
            links,
            self.fallbacks,
            cache=cache or self.fallbacks.cache,
            cache_key=kept,
            except_on=except_on if isinstance(except_on, tuple) else (except_on,),
        )

    def _bulkhead(self, bulkhead: str | Bulkhead | None) -> Bulkhead | None:
        if isinstance(bulkhead, str):
            return self.bulkhead(bulkhead)
        if bulkhead is not None and not isinstance(bulkhead, Bulkhead):
            checks.refuse("bulkhead", bulkhead, "a Bulkhead or the name of a boundary")
        return bulkhead

    def _retry(
        self,
        dependency: str,
        retry: RetryPolicy | Retry | bool,
        criticality: Criticality,
        idempotent: bool | None,
    ) -> Retry | None:
        if isinstance(retry, Retry):
            return retry
        if retry is False:
            return None
        if retry is not True and not isinstance(retry, RetryPolicy):
            checks.refuse("retry", retry, "a RetryPolicy, a Retry, True or False")
        policy = retry if isinstance(retry, RetryPolicy) else None
        return self.retry(dependency, policy, criticality=criticality, idempotent=idempotent)

    def _breaker(self, dependency: str, breaker: CircuitBreaker | bool) -> CircuitBreaker | None:
        if breaker is False:
            return None
        if breaker is True:
            return self.breaker(dependency)
        if not isinstance(breaker, CircuitBreaker):
            checks.refuse("breaker", breaker, "a CircuitBreaker, True or False")
        return breaker

    def _breaker_of(self, dependency: str, key: Key | None) -> Callable[..., CircuitBreaker] | None:
        if key is None:
            return None
        checks.function("key", key, "the call's arguments")

        def find(*args: Any, **kwargs: Any) -> CircuitBreaker:
            return self.breakers.keyed(dependency, key(*args, **kwargs))

        return find
