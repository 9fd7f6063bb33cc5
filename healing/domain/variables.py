"""Which of the site's variables governs what: false, it caps that at the mode observe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from healing.domain.definition import Definition

ALL: Final = "self_healing_enabled"
OF_CHECKS: Final = "automated_recovery_enabled"
_RESTARTS: Final = "auto_restart_enabled"
_POOLS: Final = "connection_pool_healing_enabled"
_CACHES: Final = "cache_warming_on_failure"
# What a way is for, whatever action it leads to: a command to a service governs nothing by itself.
_WAYS: Final[Mapping[str, str]] = {
    "restart": _RESTARTS,
    "restart_all": _RESTARTS,
    "restart_gracefully": _RESTARTS,
    "recycle_worker": _RESTARTS,
    "recycle_pool": _POOLS,
    "terminate_idle": _POOLS,
    "warm_cache": _CACHES,
}


def variables_of(definition: Definition, by_action: Iterable[str]) -> list[str]:
    """The variables that all have to be true for a workflow to go further than observing.

    `by_action` are those of the actions that its steps come to.
    """
    asked = [ALL]
    if any(each.type == "check_failed" for each in [definition.trigger, *definition.triggers]):
        asked.append(OF_CHECKS)
    asked += [_WAYS[name] for name in called(definition) if name in _WAYS]
    return list(dict.fromkeys([*asked, *(each for each in by_action if each)]))


def called(definition: Definition) -> list[str]:
    """What its steps call, by the names of actions, of ways and of commands to a service."""
    names = []
    for step in definition.steps:
        names.append(step.action)
        names += [value for value in step.parameters.values() if isinstance(value, str)]
    return names
