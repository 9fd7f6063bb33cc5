from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.running import Up

Starter = Callable[..., Up]


@pytest.fixture(scope="session")
def hard_state() -> Iterator[Path]:
    """A state directory that is deep, oddly named, and below a folder closed to all others."""
    with tempfile.TemporaryDirectory(prefix="rcp-closed-") as closed:
        os.chmod(closed, 0o700)
        yield Path(closed, '100% of it\'s #1; "deep"', *["d" * 40] * 4, "state")


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start launchers that do not outlive the test."""
    started: list[Up] = []

    def make(*args: Any, **options: Any) -> Up:
        started.append(Up(*args, **options))
        return started[-1]

    yield make
    for each in started:
        each.discard()
