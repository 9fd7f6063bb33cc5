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
# What a way is for, whatever action it leads to: a hook governs nothing by itself.
_WAYS: Final[Mapping[str, str]] = {
    "restart": _RESTARTS,
    "restart_all": _RESTARTS,
    "recycle_worker": _RESTARTS,
    "recycle_pool": _POOLS,
    "terminate_idle": _POOLS,
    "warm_cache": _CACHES,
}


def variables_of(
    definition: Definition, of_actions: Iterable[str], *, by_person: bool = False
) -> list[str]:
    """The variables that all have to be true for a workflow to go further than observing.

    `of_actions` are those of the actions that its steps come to. What a failed check may start by
    itself (AUTOMATED_RECOVERY_ENABLED) does not bind a person.
    """
    asked = [ALL]
    triggers = [definition.trigger, *definition.triggers]
    if not by_person and any(each.type == "check_failed" for each in triggers):
        asked.append(OF_CHECKS)
    asked += [_WAYS[each.action] for each in definition.steps if each.action in _WAYS]
    return list(dict.fromkeys([*asked, *(each for each in of_actions if each)]))
