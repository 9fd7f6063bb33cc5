"""Finds the kinds: every module of `health.checks.plugins` registers its own."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every plugin; one that cannot be imported stops the site rather than vanish."""
    from health.checks import plugins

    for module in pkgutil.iter_modules(plugins.__path__):
        importlib.import_module(f"{plugins.__name__}.{module.name}")
