"""A clean store for each test: the partitioned tables too, which Django's own flush leaves."""

from __future__ import annotations

import pytest
from django.db import connection

from resilience_site.core import partitions


@pytest.fixture
def store(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(t.table for t in partitions.registered())}")
    partitions.forget_known()
