"""Engines of tests are on this machine, which targets of a site may call only where it is allowed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resilience_site.config import config


@pytest.fixture(autouse=True)
def private_hosts_may_be_called() -> Iterator[None]:
    with config.override(resilience_allow_private_targets=True):
        yield
