"""Finds the actions: every module of `healing.actions.kinds` registers its own."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from healing.actions import kinds
from healing.actions.base import ACTIONS, Action


@cache
def _load() -> None:
    """One that cannot be imported stops the site rather than vanish."""
    for module in pkgutil.iter_modules(kinds.__path__):
        importlib.import_module(f"{kinds.__name__}.{module.name}")


def actions_known() -> dict[str, Action[Any]]:
    """Every action by its name."""
    _load()
    return dict(sorted(ACTIONS.items()))


def action_named(name: str) -> Action[Any]:
    """An action; raises `KeyError`."""
    _load()
    return ACTIONS[name]
