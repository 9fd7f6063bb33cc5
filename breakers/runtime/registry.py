"""The breakers of a process by name, and what the site decides about them.

    graph = registry.breaker("microsoft_graph")
    tenant = registry.keyed("microsoft_graph", tenant_id)     # one of its own for each tenant

A breaker made for each call would never trip; a registry hands out the same one for the same name.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from breakers.runtime import checks
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerPolicy, CircuitState
from breakers.runtime.defaults import breaker_enabled, breaker_policy
from breakers.runtime.reports import Reports
from breakers.runtime.variables import ClientVariables, ConfigError

logger = logging.getLogger(__name__)

MAX_KEYED = 10_000
_EVICTION_TRIES = 32
_OVERRIDES = ("forced_open", "forced_closed", "disabled", "metrics_only", "auto")
_POLICY_FIELDS = frozenset(
    name
    for name in BreakerPolicy.__dataclass_fields__
    if name not in ("expected_exception", "ignored_exceptions", "record_result")
)


class BreakerRegistry:
    """Circuit breakers by name. Its methods may be called from any thread.

    `max_keyed` bounds the breakers by key: beyond it, the one that was asked for longest ago goes,
    unless it is open, half-open or set by hand; where all are, the bound gives way. `is_failure`
    says which exceptions count where the arguments of a breaker do not.
    """

    def __init__(
        self,
        variables: ClientVariables | None = None,
        *,
        max_keyed: int = MAX_KEYED,
        is_failure: Callable[[Exception], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        checks.count("max_keyed", max_keyed)
        self._variables = variables or ClientVariables()
        self._max_keyed = max_keyed
        self._base = {} if is_failure is None else {"expected_exception": is_failure}
        self._clock = clock
        self._lock = threading.RLock()
        self._named: dict[str, CircuitBreaker] = {}
        self._keyed: OrderedDict[tuple[str, str], CircuitBreaker] = OrderedDict()
        self._arguments: dict[str, dict[str, Any]] = {}
        self._document: Mapping[str, Any] = {}
        self._overridden: set[str] = set()
        self._watchers: list[Callable[[CircuitBreaker], object]] = []
        self._reports = Reports(logger)

    def breaker(self, name: str, **arguments: Any) -> CircuitBreaker:
        """The breaker `name`, made at the first request; `arguments` name fields of BreakerPolicy.

        They count at the first request only. Raises ConfigError for values that cannot work.
        """
        known = self._named.get(name)
        if known is not None:
            if arguments and arguments != self._arguments.get(name):
                self._reports.once(
                    f"arguments {name}",
                    "Circuit breaker %r exists with other settings, which it keeps",
                    name,
                )
            return known
        with self._lock:
            if name in self._named:
                return self._named[name]
            self._arguments[name] = arguments
            made = self._make(name, name)
            self._named[name] = made
        self._announce(made)
        return made

    def get(self, name: str) -> CircuitBreaker | None:
        """The breaker `name`, if there is one."""
        return self._named.get(name)

    def keyed(self, name: str, key: object) -> CircuitBreaker:
        """The breaker `name` of one key, for example of one tenant or one host."""
        place = (name, str(key))
        with self._lock:
            known = self._keyed.get(place)
            if known is not None:
                self._keyed.move_to_end(place)
                return known
            made = self._make(name, f"{name}[{key}]")
            if len(self._keyed) >= self._max_keyed:
                self._evict()
            self._keyed[place] = made
        return made

    def named(self) -> list[CircuitBreaker]:
        """The breakers by name, without those by key."""
        return list(self._named.values())

    def __iter__(self) -> Iterator[CircuitBreaker]:
        with self._lock:
            return iter([*self._named.values(), *self._keyed.values()])

    def __len__(self) -> int:
        return len(self._named) + len(self._keyed)

    def on_made(self, callback: Callable[[CircuitBreaker], object]) -> Callable[[], None]:
        """Have `callback` called with each breaker by name, those that exist included.

        Returns what ends that.
        """
        with self._lock:
            self._watchers.append(callback)
            known = list(self._named.values())
        for each in known:
            callback(each)

        def remove() -> None:
            with self._lock:
                self._watchers = [each for each in self._watchers if each is not callback]

        return remove

    def apply(self, document: Mapping[str, Any]) -> None:
        """Work by the `breakers` of a control document: name → `override` and `policy`.

        What this library does not know (a state, a setting, a shape) is reported in the log and
        has no effect; all else is applied. A breaker whose override is gone starts from closed.
        """
        entries = document.get("breakers")
        if not isinstance(entries, Mapping):
            self._reports.once("shape", "The control document has no usable breakers: %r", entries)
            return
        with self._lock:
            self._document = entries
            known = [(name, each) for name, each in self._named.items()]
            known += [(name, each) for (name, _), each in self._keyed.items()]
        for name, breaker in known:
            try:
                policy = self._policy(name)
            except ConfigError as error:
                self._reports.once(
                    f"policy {name} {error}", "Policy of breaker %r: %s", name, error
                )
            else:
                if policy != breaker.policy:
                    breaker.configure(policy)
            self._override(name, breaker)

    # --- Inside

    def _make(self, name: str, shown: str) -> CircuitBreaker:
        try:
            policy = self._policy(name)
        except ConfigError:
            # Whose fault it is decides who hears it: a caller's arguments raise, the site's do not.
            policy = breaker_policy(
                name, self._variables, arguments=self._base | self._arguments.get(name, {})
            )
        made = CircuitBreaker.of(shown, policy, clock=self._clock)
        if not breaker_enabled(name, self._variables):
            made.disable("switched off by its variable")
        self._override(name, made)
        return made

    def _policy(self, name: str) -> BreakerPolicy:
        entry = self._document.get(name)
        given = entry.get("policy") if isinstance(entry, Mapping) else None
        given = given if isinstance(given, Mapping) else {}
        for field in sorted(set(given) - _POLICY_FIELDS):
            self._reports.once(
                f"field {field}", "The site sets the unknown %r of breaker %r", field, name
            )
        return breaker_policy(
            name,
            self._variables,
            document={field: value for field, value in given.items() if field in _POLICY_FIELDS},
            arguments=self._base | self._arguments.get(name, {}),
        )

    def _override(self, name: str, breaker: CircuitBreaker) -> None:
        entry = self._document.get(name)
        override = entry.get("override") if isinstance(entry, Mapping) else None
        state, reason = "auto", "the site's override ended"
        if isinstance(override, Mapping):
            state, reason = str(override.get("state")), str(override.get("reason") or "override")
        elif override is not None:
            state = repr(override)
        if state not in _OVERRIDES:
            self._reports.once(
                f"state {state}",
                "The site asks for the unknown state %r of breaker %r",
                state,
                name,
            )
            return
        if state == "auto":
            if breaker.name in self._overridden:
                self._overridden.discard(breaker.name)
                if breaker_enabled(name, self._variables):
                    breaker.reset(reason)
                else:
                    breaker.disable("switched off by its variable")
            return
        self._overridden.add(breaker.name)
        decide = {
            CircuitState.FORCED_OPEN: breaker.force_open,
            CircuitState.FORCED_CLOSED: breaker.force_closed,
            CircuitState.DISABLED: breaker.disable,
            CircuitState.METRICS_ONLY: breaker.metrics_only,
        }
        decide[CircuitState(state)](reason)

    def _evict(self) -> None:
        for place in [place for place, _ in zip(self._keyed, range(_EVICTION_TRIES), strict=False)]:
            if self._keyed[place].state is CircuitState.CLOSED:
                self._overridden.discard(self._keyed.pop(place).name)
                return
            self._keyed.move_to_end(place)
        self._reports.once(
            "full", "All of the %d oldest breakers by key are in use", _EVICTION_TRIES
        )

    def _announce(self, made: CircuitBreaker) -> None:
        for watcher in list(self._watchers):
            try:
                watcher(made)
            except Exception:
                logger.exception("A watcher of new breakers failed on %r", made.name)
