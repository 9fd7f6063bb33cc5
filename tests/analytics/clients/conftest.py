from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.analytics.clients.relay import Relay
from tests.livesite import LiveSite


@pytest.fixture
def relay(site: LiveSite) -> Iterator[Relay]:
    """A relay in front of the running site."""
    with Relay(site.url).listening() as running:
        yield running
