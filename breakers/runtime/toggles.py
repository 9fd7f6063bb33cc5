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
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from breakers.runtime import checks
from breakers.runtime.reports import Reports
from breakers.runtime.variables import ClientVariables

logger = logging.getLogger(__name__)

_SETTINGS = {"otherwise": False, "rollout": 1.0, "variant": "", "reason": "", "expires_in": None}

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
        self._set(key, value, otherwise, rollout, variant, reason, expires_in)
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
        if toggle.until is not None and self._clock() >= toggle.until:
            with self._lock:
                # Someone may have set it anew since it was looked at.
                if self._toggles.get(key) is toggle:
                    del self._toggles[key]
            self._tell([key])
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

        What cannot be used is reported and ignored. A key that is left out is as if never set.
        """
        entries = document.get("toggles")
        if not isinstance(entries, Mapping):
            self._reports.once("shape", "The control document has no usable toggles: %r", entries)
            return
        changed = []
        for key, entry in entries.items():
            given = dict(entry) if isinstance(entry, Mapping) else {"value": entry}
            if "value" not in given:
                self._reports.once(f"{key}", "The toggle %r has no value: %r", key, entry)
                continue
            settings: dict[str, Any] = dict(_SETTINGS)
            settings |= {name: given[name] for name in _SETTINGS if given.get(name) is not None}
            try:
                self._set(str(key), given["value"], **settings)
            except Exception as error:
                self._reports.once(f"{key} {error}", "The toggle %r: %s", key, error)
                continue
            self._applied.add(str(key))
            changed.append(str(key))
        for key in self._applied - set(entries):
            self._applied.discard(key)
            with self._lock:
                self._toggles.pop(key, None)
            changed.append(key)
        if changed:
            self._tell(changed)

    def _set(
        self,
        key: str,
        value: Any,
        otherwise: Any,
        rollout: float,
        variant: str,
        reason: str,
        expires_in: float | None,
    ) -> None:
        checks.rate("rollout", rollout, zero=True)
        if expires_in is not None:
            checks.seconds("expires_in", expires_in)
        until = None if expires_in is None else self._clock() + expires_in
        made = Toggle(key, value, otherwise, rollout, variant, reason, until)
        with self._lock:
            self._toggles[key] = made

    def _tell(self, keys: list[str]) -> None:
        for listener in list(self._listeners):
            try:
                listener(keys)
            except Exception:
                logger.exception("A listener of toggles failed")


def _share(key: str, targeting_key: str) -> float:
    """A number from 0 to 1 that is always the same for the same two texts, in every process."""
    digest = hashlib.blake2b(f"{key}\0{targeting_key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def openfeature_provider(toggles: Toggles) -> Any:
    """An OpenFeature provider; needs `openfeature-sdk` (the extra `openfeature`)."""
    from breakers.runtime.openfeature import ResilienceProvider

    return ResilienceProvider(toggles)
