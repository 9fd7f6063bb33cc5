"""What keeps tests steady on a busy machine: patience where time is nothing that a test asks about.

Properties are tried on the same examples in each run. HYPOTHESIS_EXAMPLES asks for others each
time: for so many of each property that names no number itself.
"""

from __future__ import annotations

import os

from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings
from playwright.sync_api import expect
from psycopg.errors import DeadlockDetected

from tests import emptying

EXPECT_MILLISECONDS = 60_000
_ATTEMPTS = 5


def be_steady() -> None:
    """Slow examples are no failure, pages may take their time, and a flush is tried again."""
    asked = os.environ.get("HYPOTHESIS_EXAMPLES")
    settings.register_profile(
        "steady",
        suppress_health_check=[HealthCheck.too_slow],
        deadline=None,
        max_examples=int(asked or 50),
        # What a draw of today finds is no fault of what changed today.
        derandomize=asked is None,
    )
    settings.load_profile("steady")
    expect.set_options(timeout=EXPECT_MILLISECONDS)
    TransactionTestCase._fixture_teardown = lambda test: flush()


def flush() -> None:
    """Emptying all tables at once can meet a web process that writes to several of them."""
    for attempt in range(_ATTEMPTS):
        try:
            emptying.empty_partitions()
            return emptying.empty_models()
        except Exception as error:
            if attempt == _ATTEMPTS - 1 or not _is_deadlock(error):
                raise
    return None


def _is_deadlock(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DeadlockDetected):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
