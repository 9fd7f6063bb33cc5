"""Tests of root causes of the store begin with an empty one."""

from __future__ import annotations

from tests.analytics.store.conftest import store

__all__ = ["store"]
