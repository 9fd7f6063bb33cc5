"""Tests of patterns begin with an empty store, and take back what they wrote."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from resilience_site.core import partitions
from tests.analytics.store.conftest import forget_all


@pytest.fixture
def store(db: None) -> Iterator[None]:
    """The empty store, in one transaction that ends with the test: nobody else need see it."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(t.table for t in partitions.registered())}")
    forget_all()
    yield
    # What the process remembers of partitions and stacks goes with the transaction.
    forget_all()
