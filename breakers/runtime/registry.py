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
from typing import Any, NamedTuple

from breakers.runtime import checks
from breakers.runtime.circuit_breaker import CircuitBreaker
from breakers.runtime.circuit_state import BreakerPolicy, CircuitState
from breakers.runtime.defaults import breaker_enabled, breaker_policy
from breakers.runtime.expiry import Ends, seconds_left
from breakers.runtime.policy_fields import POLICY_FIELDS, POLICY_SIZES, document_fields
from breakers.runtime.reports import Reports
from breakers.runtime.variables import ClientVariables, ConfigError

logger = logging.getLogger(__name__)

MAX_KEYED = 10_000
_EVICTION_TRIES = 32
_OVERRIDES = ("forced_open", "forced_closed", "disabled", "metrics_only", "auto")
_ENTRY_FIELDS = ("override", "policy")
_OVERRIDE_FIELDS = ("state", "reason", "actor", "expires_at", "expires_in")


class _Override(NamedTuple):
    """What the site sets a breaker to, until when by the registry's clock (None: it says when)."""

    state: CircuitState
    reason: str
    until: float | None


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
        # Documents and expiries take effect one after the other.
        self._steering = threading.RLock()
        self._ends = Ends(clock)
        self._overrides: dict[str, _Override] = {}
        self._overridden: set[str] = set()
        self._held: Callable[[CircuitBreaker], bool] = lambda breaker: False
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
        An override with `expires_in` is taken back by the first `expire` from that time on.
        """
        entries = document.get("breakers")
        if not isinstance(entries, Mapping):
            self._reports.once("shape", "The control document has no usable breakers: %r", entries)
            return
        with self._steering:
            with self._lock:
                self._document = entries
                self._overrides = self._overrides_of(entries)
                known = self._known_locked()
            for name, breaker in known:
                self._configure(name, breaker)
                self._settle(name, breaker, "the site's override ended")

    def expire(self) -> float | None:
        """Take back the overrides whose time is over, each once.

        Returns the seconds until the next one ends, None where none does.
        """
        with self._steering:
            now = self._clock()
            with self._lock:
                over = {name for name, each in self._overrides.items() if _is_over(each, now)}
                for name in over:
                    del self._overrides[name]
                known = [each for each in self._known_locked() if each[0] in over]
                left = seconds_left((each.until for each in self._overrides.values()), now)
            for name, breaker in known:
                self._settle(name, breaker, "the site's override expired")
        return left

    def overridden(self, breaker: CircuitBreaker) -> bool:
        """Whether the site sets the state of this breaker."""
        return breaker.name in self._overridden

    def yield_to(self, held: Callable[[CircuitBreaker], bool]) -> None:
        """Have `held` asked before a breaker is reset; true keeps it as it is.

        Whoever cuts a breaker off for another reason takes it over so, without a gap.
        """
        self._held = held

    def reset(self, name: str, reason: str = "reset") -> int:
        """Reset the breaker `name` and those by key of that name; how many there are.

        Raises LookupError for an unknown name, and ValueError where something else than their
        outcomes decides their state.
        """
        with self._steering:
            with self._lock:
                known = [breaker for each, breaker in self._known_locked() if each == name]
            if not known:
                raise LookupError(f"no circuit breaker {name!r} is known")
            if not breaker_enabled(name, self._variables):
                raise ValueError(f"circuit breaker {name!r} is switched off by its variable")
            for breaker in known:
                if self.overridden(breaker):
                    raise ValueError(f"the site sets circuit breaker {breaker.name!r} by hand")
                if self._held(breaker):
                    raise ValueError(f"a failure domain isolates circuit breaker {breaker.name!r}")
            for breaker in known:
                breaker.reset(reason)
        return len(known)

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
        override = self._overrides.get(name)
        if override is not None and not _is_over(override, self._clock()):
            self._settle(name, made, "")
        return made

    def _known_locked(self) -> list[tuple[str, CircuitBreaker]]:
        """All breakers, each with the name that the site knows it by."""
        known = list(self._named.items())
        return known + [(name, breaker) for (name, _), breaker in self._keyed.items()]

    def _configure(self, name: str, breaker: CircuitBreaker) -> None:
        try:
            policy = self._policy(name)
        except ConfigError as error:
            self._reports.once(f"policy {name} {error}", "Policy of breaker %r: %s", name, error)
            return
        if policy != breaker.policy:
            breaker.configure(policy)

    def _policy(self, name: str) -> BreakerPolicy:
        entry = self._document.get(name)
        return breaker_policy(
            name,
            self._variables,
            document=document_fields(
                entry, "breaker", name, POLICY_FIELDS, POLICY_SIZES, self._reports
            ),
            arguments=self._base | self._arguments.get(name, {}),
        )

    def _overrides_of(self, entries: Mapping[str, Any]) -> dict[str, _Override]:
        """The overrides of a document that hold; one that cannot be used leaves what was there."""
        found = {}
        for name, entry in entries.items():
            given = None
            if isinstance(entry, Mapping):
                self._reports.unknown("A breaker of the control document", entry, _ENTRY_FIELDS)
                given = entry.get("override")
            if given is None:
                continue
            try:
                override = self._override(name, given)
            except ConfigError as error:
                self._reports.once(str(error), "The override of breaker %r: %s", name, error)
                override = self._overrides.get(name)
            if override is not None:
                found[name] = override
        self._ends.keep(entries.keys())
        now = self._clock()
        return {name: each for name, each in found.items() if not _is_over(each, now)}

    def _override(self, name: str, given: Any) -> _Override | None:
        state = str(given.get("state")) if isinstance(given, Mapping) else repr(given)
        if state not in _OVERRIDES:
            checks.refuse("state", state, ", ".join(_OVERRIDES))
        if state == "auto":
            return None
        self._reports.unknown("An override of the control document", given, _OVERRIDE_FIELDS)
        until = self._ends.of(name, given)
        return _Override(CircuitState(state), str(given.get("reason") or "override"), until)

    def _settle(self, name: str, breaker: CircuitBreaker, ended: str) -> None:
        """Set the breaker as the site wants it; `ended` is why, where it no longer does."""
        override = self._overrides.get(name)
        if override is None:
            if breaker.name in self._overridden:
                self._overridden.discard(breaker.name)
                if not breaker_enabled(name, self._variables):
                    breaker.disable("switched off by its variable")
                elif not self._held(breaker):
                    breaker.reset(ended)
            return
        self._overridden.add(breaker.name)
        decide = {
            CircuitState.FORCED_OPEN: breaker.force_open,
            CircuitState.FORCED_CLOSED: breaker.force_closed,
            CircuitState.DISABLED: breaker.disable,
            CircuitState.METRICS_ONLY: breaker.metrics_only,
        }
        decide[override.state](override.reason)

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


def _is_over(override: _Override, now: float) -> bool:
    return override.until is not None and now >= override.until
