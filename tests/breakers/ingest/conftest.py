"""Every test of ingest begins with empty tables, those that Django does not empty included."""

from __future__ import annotations

import pytest

from tests.analytics.store.conftest import store as empty_store


@pytest.fixture(autouse=True)
def emptied(empty_store: None) -> None:
    """The store, empty and known to nobody."""


__all__ = ["empty_store"]
