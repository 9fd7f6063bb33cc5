"""Reads that are refused in a sentence where they take too long, instead of holding the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from resilience_site.core.problems import Invalid


@contextmanager
def limited_time(milliseconds: int, advice: str = "choose a shorter one") -> Iterator[None]:
    """Stop any statement inside that takes longer; raises `Invalid` then, with the advice."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)]
                )
            yield
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise Invalid.field(
            "query.since",
            f"Reading this range took longer than {milliseconds // 1000} s: {advice}.",
        ) from None
