"""Degraded modes: what a service still does when it cannot do all, and what it says of that.

degradation = Degradation()
degradation.set("planner", DegradationLevel.REDUCED, notice="Plans may be a few minutes old.")

@degradation.feature("planner", "suggestions", criticality="low", otherwise=list)
async def suggestions(plan_id): ...
"""

from __future__ import annotations

import enum
import functools
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from breakers.runtime import checks, events
from breakers.runtime.expiry import Ends, seconds_left
from breakers.runtime.reports import Reports
from breakers.runtime.retry_policy import CRITICALITIES, Criticality
from breakers.runtime.variables import ClientVariables, ConfigError

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


class DegradationLevel(enum.Enum):
    """How much a service does: all, all but low criticality, only high and critical, nothing."""

    NORMAL = "normal"
    REDUCED = "reduced"
    ESSENTIAL = "essential"
    OFFLINE = "offline"


_SERVED: dict[DegradationLevel, tuple[str, ...]] = {
    DegradationLevel.NORMAL: CRITICALITIES,
    DegradationLevel.REDUCED: ("critical", "high", "medium"),
    DegradationLevel.ESSENTIAL: ("critical", "high"),
    DegradationLevel.OFFLINE: (),
}
_FIELDS = ("level", "notice", "reason", "actor", "expires_at", "expires_in")
_NOTICES = {
    DegradationLevel.REDUCED: "{} is under strain: some extras are switched off for now.",
    DegradationLevel.ESSENTIAL: "{} is degraded: only its most important functions work for now.",
    DegradationLevel.OFFLINE: "{} is unavailable at the moment. We are working on it.",
}


@dataclass(frozen=True, slots=True)
class _Mode:
    level: DegradationLevel
    notice: str
    until: float | None


class Degradation:
    """Levels by service; without one, a service is normal. `clock` is monotonic."""

    def __init__(
        self,
        variables: ClientVariables | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._variables = variables or ClientVariables()
        self._clock = clock
        self._lock = threading.Lock()
        self._modes: dict[str, _Mode] = {}
        self._applied: set[str] = set()
        self._ends = Ends(clock)
        self._reports = Reports(logger)

    def set(
        self,
        service: str,
        level: DegradationLevel,
        *,
        notice: str = "",
        expires_in: float | None = None,
    ) -> None:
        """Let `service` run at `level`, for `expires_in` seconds or until it is set again."""
        if not isinstance(level, DegradationLevel):
            checks.refuse("level", level, "a DegradationLevel")
        if expires_in is not None:
            checks.seconds("expires_in", expires_in)
        self._set(
            service, level, notice, None if expires_in is None else self._clock() + expires_in
        )

    def _set(self, service: str, level: DegradationLevel, notice: str, until: float | None) -> None:
        with self._lock:
            before = self._modes.get(service)
            if level is DegradationLevel.NORMAL:
                self._modes.pop(service, None)
            else:
                self._modes[service] = _Mode(level, notice, until)
        if (before.level if before else DegradationLevel.NORMAL) is not level:
            _tell(service, level)

    def level(self, service: str) -> DegradationLevel:
        """The level that `service` runs at now."""
        mode = self._mode(service)
        return DegradationLevel.NORMAL if mode is None else mode.level

    def serves(self, service: str, criticality: Criticality) -> bool:
        """Whether functions of this criticality are on at the service's level."""
        return criticality in _SERVED[self.level(service)]

    def notice(self, service: str) -> str:
        """What to tell users of a degraded service; empty for a normal one."""
        mode = self._mode(service)
        if mode is None:
            return ""
        return mode.notice or _NOTICES[mode.level].format(service)

    def notices(self) -> dict[str, str]:
        """The notices of all degraded services."""
        return {name: text for name in list(self._modes) if (text := self.notice(name))}

    def feature(
        self,
        service: str,
        name: str,
        *,
        criticality: Criticality = "medium",
        otherwise: Callable[[], Any],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Call the function only while features of this criticality are on, else `otherwise`."""
        if criticality not in CRITICALITIES:
            checks.refuse("criticality", criticality, "critical, high, medium or low")
        checks.function("otherwise", otherwise, "no arguments")

        def decorate(func: Callable[P, R]) -> Callable[P, R]:
            if inspect.iscoroutinefunction(func):

                async def coroutine(*args: Any, **kwargs: Any) -> Any:
                    if self.serves(service, criticality):
                        return await func(*args, **kwargs)
                    result = otherwise()
                    return await result if isinstance(result, Awaitable) else result

                return cast("Callable[P, R]", functools.wraps(func)(coroutine))

            def plain(*args: Any, **kwargs: Any) -> Any:
                return func(*args, **kwargs) if self.serves(service, criticality) else otherwise()

            return cast("Callable[P, R]", functools.wraps(func)(plain))

        return decorate

    def apply(self, document: Mapping[str, Any]) -> None:
        """Work by the `degraded` of a control document: service → `level` and `notice`.

        What cannot be used is reported and ignored. A service that is left out, or whose
        `expires_in` has passed, is normal again.
        """
        entries = document.get("degraded")
        if not isinstance(entries, Mapping):
            self._reports.once(
                "shape", "The control document has no usable degraded modes: %r", entries
            )
            return
        left_out = self._applied - set(entries)
        for service, entry in entries.items():
            given = entry if isinstance(entry, Mapping) else {"level": entry}
            self._reports.unknown("A degraded mode of the control document", given, _FIELDS)
            try:
                level = DegradationLevel(given.get("level"))
                until = self._ends.of(service, given)
            except ConfigError as error:
                self._reports.once(f"{error}", "The degraded mode of %r: %s", service, error)
                continue
            except ValueError:
                level_given = given.get("level")
                self._reports.once(
                    f"{level_given!r}", "The site asks for the unknown level %r", level_given
                )
                continue
            if until is not None and self._clock() >= until:
                left_out |= self._applied & {service}
                continue
            self._applied.add(service)
            self._set(service, level, str(given.get("notice") or ""), until)
        self._ends.keep(entries.keys())
        for service in left_out:
            self._applied.discard(service)
            self._set(service, DegradationLevel.NORMAL, "", None)

    def expire(self) -> float | None:
        """End what is over, each once; seconds until the next end, None where nothing ends."""
        now = self._clock()
        for service, mode in list(self._modes.items()):
            if _is_over(mode, now):
                self._end(service, mode)
        return seconds_left((each.until for each in list(self._modes.values())), now)

    def _mode(self, service: str) -> _Mode | None:
        mode = self._modes.get(service)
        if mode is None or not self._variables.degraded_mode_enabled:
            return None
        if _is_over(mode, self._clock()):
            self._end(service, mode)
            return None
        return mode

    def _end(self, service: str, mode: _Mode) -> None:
        with self._lock:
            # Someone may have set it anew, or ended it, since it was looked at.
            if self._modes.get(service) is not mode:
                return
            del self._modes[service]
            self._applied.discard(service)
        _tell(service, DegradationLevel.NORMAL)


def _is_over(mode: _Mode, now: float) -> bool:
    return mode.until is not None and now >= mode.until


def _tell(service: str, level: DegradationLevel) -> None:
    logger.warning("%s runs at the level %s", service, level.value)
    events.emit(
        "resilience.degraded.changed",
        {"resilience.degraded.level": level.value, "resilience.degraded.service": service},
    )
