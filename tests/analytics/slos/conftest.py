"""Tests of objectives begin with an empty store."""

from __future__ import annotations

from tests.analytics.store.conftest import store

__all__ = ["store"]
