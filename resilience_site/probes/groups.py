"""The indicators of `/readyz` and `/healthz`, and the groups that ask for them.

An indicator is looked at at most once a second, however many requests and groups ask for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from resilience_site.probes import checks, fleet
from resilience_site.probes.checks import FAIL, PASS, WARN, Outcome
from resilience_site.probes.remember import Remembered, StillWaitingError

DEFAULT: Final = "deep"
FLEET: Final = "fleet"
_SECONDS: Final = 1.0
# Without any worker, asking for one takes a second.
_WORKER_SECONDS: Final = 5.0

_READY: Final = ("database", "redis", "background")
_DEEP: Final = (*_READY, "worker", "backlog")
# What a request needs; that, and the work behind requests; that, and the services that are watched.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "ready": _READY,
    "deep": _DEEP,
    "services": (*_DEEP, FLEET),
}


def _fails(indicator: str, component: str) -> bool:
    found = _INDICATORS[indicator].get()
    return any(each.status == FAIL and each.component == component for each in found)


_INDICATORS: Final[dict[str, Remembered[list[Outcome]]]] = {
    "database": Remembered(lambda: checks.database(), _SECONDS),
    "redis": Remembered(lambda: [checks.connection_to_redis()], _SECONDS),
    "background": Remembered(lambda: [checks.background_tasks()], _SECONDS),
    "worker": Remembered(lambda: [checks.worker(_fails("redis", "redis"))], _WORKER_SECONDS),
    "backlog": Remembered(lambda: checks.backlog(_fails("database", "database")), _SECONDS),
    FLEET: Remembered(lambda: fleet.services(_fails("database", "database")), _SECONDS),
}


def forget() -> None:
    """Look at everything anew at the next request."""
    for indicator in _INDICATORS.values():
        indicator.forget()


def outcomes(groups: Iterable[str], *, everything: bool = False) -> list[Outcome]:
    """What the indicators of some groups found, each once; the fleet only where `everything` may
    be told."""
    names = dict.fromkeys(name for group in groups for name in GROUPS[group])
    found: list[Outcome] = []
    try:
        for name in names:
            if name != FLEET or everything:
                found += _INDICATORS[name].get()
    except StillWaitingError:
        found.append(Outcome("probe:time", FAIL, "the checks take longer than they may"))
    return found


def worst(found: Collection[Outcome]) -> str:
    """The status of the whole."""
    statuses = {each.status for each in found}
    return next((status for status in (FAIL, WARN) if status in statuses), PASS)
