"""An empty site whose partitions nobody remembers, and callers of its API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf

import pytest
import time_machine

from alerting.services import incident_follow, incident_timeline
from resilience_site.core import partitions
from resilience_site.core.choices import Scope
from tests.alerting.incidents import scene
from tests.health.api.conftest import Api


@pytest.fixture(autouse=True)
def fresh(
    db: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """What another test made in a transaction of its own is gone, and the clock of the journal is
    that of the scene, however long ago it was loaded."""
    partitions.forget_known()
    if request.node.get_closest_marker("browser"):
        # The web process has the real clock.
        monkeypatch.setattr(scene, "NOW", datetime.now(UTC).replace(microsecond=0))
        yield
        return
    with time_machine.travel(scene.NOW, tick=True):
        yield


@pytest.fixture
def operate() -> Api:
    return Api(Scope.OPERATE)


@pytest.fixture
def read() -> Api:
    return Api(Scope.READ)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the machine stands still, a turn does all there is: limits have tests of their
    own."""
    for module in (incident_follow, incident_timeline):
        monkeypatch.setattr(module, "TURN_SECONDS", inf)
