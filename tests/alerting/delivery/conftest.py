"""Receivers on loopback, which the site may call in these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resilience_site.config import config
from resilience_site.core import partitions
from tests.alerting.delivery.receivers import Receiver, running_receiver


@pytest.fixture(autouse=True)
def fresh(db: None) -> Iterator[None]:
    """What another test made in a transaction of its own is gone, and loopback may be called."""
    partitions.forget_known()
    with config.override(resilience_allow_private_targets=True, proactive_alerting_enabled=True):
        yield


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as found:
        yield found
