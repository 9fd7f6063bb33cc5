"""Feature toggles: values that are switched while the service runs.

    toggles = Toggles()
    toggles.set("planner.write", True, rollout=0.25)

    if toggles.is_on("planner.write", targeting_key=user_id): ...

`openfeature_provider(toggles)` serves them to code that uses the OpenFeature SDK.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from breakers.runtime import checks
from breakers.runtime.expiry import Ends, seconds_left
from breakers.runtime.reports import Reports
from breakers.runtime.variables import ClientVariables, ConfigError

logger = logging.getLogger(__name__)

_SETTINGS = {"otherwise": False, "rollout": 1.0, "variant": "", "reason": ""}
_FIELDS = ("value", "actor", "expires_at", "expires_in", *_SETTINGS)

Reason = Literal["static", "split", "default", "expired", "disabled"]


@dataclass(frozen=True, slots=True)
class Toggle:
    """A value, for the share `rollout` of those who ask; the rest gets `otherwise`."""

    key: str
    value: Any
    otherwise: Any = False
    rollout: float = 1.0
    variant: str = ""
    reason: str = ""
    until: float | None = None

    def __post_init__(self) -> None:
        checks.rate("rollout", self.rollout, zero=True)


class Resolution(NamedTuple):
    """A toggle's value for someone, and why."""

    value: Any
    reason: Reason
    variant: str = ""
    found: bool = True


class Toggles:
    """Toggles by key. `clock` is monotonic."""

    def __init__(
        self,
        variables: ClientVariables | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._variables = variables or ClientVariables()
        self._clock = clock
        self._lock = threading.Lock()
        self._toggles: dict[str, Toggle] = {}
        self._applied: set[str] = set()
        self._ends = Ends(clock)
        self._listeners: list[Callable[[list[str]], object]] = []
        self._reports = Reports(logger)

    def set(
        self,
        key: str,
        value: Any,
        *,
        otherwise: Any = False,
        rollout: float = 1.0,
        variant: str = "",
        reason: str = "",
        expires_in: float | None = None,
    ) -> None:
        """Switch a toggle; after `expires_in` seconds it is as if it had never been set."""
        if expires_in is not None:
            checks.seconds("expires_in", expires_in)
        until = None if expires_in is None else self._clock() + expires_in
        self._set(Toggle(key, value, otherwise, rollout, variant, reason, until))
        self._tell([key])

    def remove(self, key: str) -> None:
        """Forget a toggle."""
        with self._lock:
            self._toggles.pop(key, None)
        self._tell([key])

    def resolve(self, key: str, default: Any, targeting_key: str = "") -> Resolution:
        """The value for `targeting_key`, or `default` where the toggle is not set."""
        if not self._variables.feature_toggles_enabled:
            return Resolution(default, "disabled", found=False)
        toggle = self._toggles.get(key)
        if toggle is None:
            return Resolution(default, "default", found=False)
        if _is_over(toggle, self._clock()):
            self._end(toggle)
            return Resolution(default, "expired", found=False)
        if toggle.rollout >= 1:
            return Resolution(toggle.value, "static", toggle.variant)
        if _share(key, targeting_key) < toggle.rollout:
            return Resolution(toggle.value, "split", toggle.variant)
        return Resolution(toggle.otherwise, "split")

    def value(self, key: str, default: Any = None, targeting_key: str = "") -> Any:
        """The value alone."""
        return self.resolve(key, default, targeting_key).value

    def is_on(self, key: str, default: bool = False, targeting_key: str = "") -> bool:
        """Whether the value is true."""
        return bool(self.value(key, default, targeting_key))

    def keys(self) -> list[str]:
        """The toggles that are set."""
        with self._lock:
            return sorted(self._toggles)

    def on_change(self, callback: Callable[[list[str]], object]) -> None:
        """Have `callback` called with the keys that changed."""
        self._listeners.append(callback)

    def apply(self, document: Mapping[str, Any]) -> None:
        """Work by the `toggles` of a control document: key → value, or a mapping with `value`.

        What cannot be used is reported and ignored. A key that is left out, or whose `expires_in`
        has passed, is as if never set.
        """
        entries = document.get("toggles")
        if not isinstance(entries, Mapping):
            self._reports.once("shape", "The control document has no usable toggles: %r", entries)
            return
        changed, left_out = [], self._applied - set(entries)
        for key, entry in entries.items():
            given = entry if isinstance(entry, Mapping) else {"value": entry}
            if "value" not in given:
                self._reports.once(f"{key}", "The toggle %r has no value: %r", key, entry)
                continue
            self._reports.unknown("A toggle of the control document", given, _FIELDS)
            try:
                toggle = self._usable(key, given)
            except ConfigError as error:
                self._reports.once(f"{key} {error}", "The toggle %r: %s", key, error)
                continue
            if _is_over(toggle, self._clock()):
                left_out |= self._applied & {key}
                continue
            before = self._toggles.get(key) if key in self._applied else None
            self._applied.add(key)
            self._set(toggle)
            # One that is served again, only a bit later, is no news.
            if before is None or replace(before, until=None) != replace(toggle, until=None):
                changed.append(key)
        self._ends.keep(entries.keys())
        for key in left_out:
            self._applied.discard(key)
            with self._lock:
                self._toggles.pop(key, None)
            changed.append(key)
        if changed:
            self._tell(changed)

    def expire(self) -> float | None:
        """End what is over, each once; seconds until the next end, None where nothing ends."""
        now = self._clock()
        with self._lock:
            known = list(self._toggles.values())
        for toggle in known:
            if _is_over(toggle, now):
                self._end(toggle)
        return seconds_left((each.until for each in known if not _is_over(each, now)), now)

    def _usable(self, key: str, given: Mapping[str, Any]) -> Toggle:
        settings: dict[str, Any] = dict(_SETTINGS)
        settings |= {name: given[name] for name in _SETTINGS if given.get(name) is not None}
        return Toggle(key, given["value"], **settings, until=self._ends.of(key, given))

    def _set(self, toggle: Toggle) -> None:
        with self._lock:
            self._toggles[toggle.key] = toggle

    def _end(self, toggle: Toggle) -> None:
        with self._lock:
            # Someone may have set it anew, or ended it, since it was looked at.
            if self._toggles.get(toggle.key) is not toggle:
                return
            del self._toggles[toggle.key]
            self._applied.discard(toggle.key)
        self._tell([toggle.key])

    def _tell(self, keys: list[str]) -> None:
        for listener in list(self._listeners):
            try:
                listener(keys)
            except Exception:
                logger.exception("A listener of toggles failed")


def _is_over(toggle: Toggle, now: float) -> bool:
    return toggle.until is not None and now >= toggle.until


def _share(key: str, targeting_key: str) -> float:
    """A number from 0 to 1 that is always the same for the same two texts, in every process."""
    digest = hashlib.blake2b(f"{key}\0{targeting_key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def openfeature_provider(toggles: Toggles) -> Any:
    """An OpenFeature provider; needs `openfeature-sdk` (the extra `openfeature`)."""
    from breakers.runtime.openfeature import ResilienceProvider

    return ResilienceProvider(toggles)
