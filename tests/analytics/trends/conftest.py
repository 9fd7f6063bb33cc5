"""Tests of trends and forecasts begin with an empty store."""

from __future__ import annotations

from tests.analytics.store.conftest import present_again, store

__all__ = ["present_again", "store"]
