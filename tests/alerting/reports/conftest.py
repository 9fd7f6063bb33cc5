"""Reports are made over a store that holds what the test put there."""

from __future__ import annotations

from tests.analytics.patterns.conftest import store

__all__ = ["store"]
