"""For all tests of analytics: a sender of telemetry."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.livesite import LiveSite


@pytest.fixture
def http(site: LiveSite) -> Iterator[httpx.Client]:
    """A client of the running site with an ingest key."""
    headers = {"Authorization": f"Bearer {site.ingest_key}"}
    with httpx.Client(base_url=site.url, headers=headers, timeout=60) as client:
        yield client
