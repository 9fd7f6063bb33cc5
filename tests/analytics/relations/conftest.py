"""Tests of relations begin with an empty store."""

from __future__ import annotations

from tests.analytics.store.conftest import soon_after, store

__all__ = ["soon_after", "store"]
