"""What the prober's own machine lacks is an error of the check, never an outage of its target."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.health.checks.probing import probe


@contextmanager
def no_more_files() -> Iterator[None]:
    """Within the block this process can open no file and no socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_file_handle_is_left() -> None:
    await probe("postgres", {"dsn": os.environ["DATABASE_URL"]})
    await probe("redis", {"url": os.environ["REDIS_URL"]})
    with no_more_files():
        with pytest.raises(OSError, match="Too many open files"):
            await probe("postgres", {"dsn": os.environ["DATABASE_URL"]})
        with pytest.raises(OSError, match="Too many open files"):
            await probe("redis", {"url": os.environ["REDIS_URL"]})
    await probe("postgres", {"dsn": os.environ["DATABASE_URL"]})
