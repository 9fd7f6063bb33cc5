"""Which services are foretold of where there are more than one turn looks at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analytics.models import Sign
from analytics.services import predictions
from health.models import Service

pytestmark = pytest.mark.usefixtures("store")
NOW = datetime.now(UTC).replace(second=0, microsecond=0)


def test_a_flood_of_new_services_takes_no_place_from_those_that_are_known_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(predictions, "_MOST_SERVICES", 2)
    ages = {"!1": 0, "!2": 0, "mail": 3, "planner": 9}
    for name, days in ages.items():
        Service.objects.create(name=name, first_seen=NOW - timedelta(days=days), last_seen=NOW)
    for name in (*ages, "!unknown"):
        minute = NOW - timedelta(minutes=1)
        Sign.objects.create(service=name, minute=minute, kind="retries", count=1)
    assert predictions._active(NOW) == ["mail", "planner"]
