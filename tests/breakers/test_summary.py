"""The overview's numbers of breakers, overrides and degraded modes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from breakers.models import Breaker
from breakers.selectors.summary import Protection, protection
from breakers.services.degraded import degraded_set
from breakers.services.overrides import Target, override_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from tests.breakers.api.conftest import breaker
from tests.pages.conftest import empty_site

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["breaker", "empty_site"]

ANA = Actor.system("ana")


def test_breakers_are_counted_once_and_only_while_they_report(
    breaker: Callable[..., Breaker],
) -> None:
    breaker("graph", state="open")
    breaker("graph", instance="planner-2")
    breaker("redis")
    now = datetime.now(UTC)
    override_set(
        target=Target.of_breaker("planner", "redis"), state="disabled", reason="drill",
        expires_in=60, actor=ANA, role=Role.OPERATOR,
    )  # fmt: skip
    degraded_set(service="planner", level="reduced", reason="drill", actor=ANA, role=Role.OPERATOR)
    assert protection(now) == Protection(breakers=2, rejecting=1, overrides=1, degraded=1)
    later = protection(now + timedelta(minutes=2))
    assert later == Protection(breakers=0, rejecting=0, overrides=0, degraded=1)


@pytest.mark.usefixtures("empty_site")
def test_the_overview_says_so_where_there_is_anything_to_say(
    breaker: Callable[..., Breaker], viewer: Client
) -> None:
    assert 'class="protection"' not in viewer.get("/").content.decode()
    breaker("graph", state="open")
    page = viewer.get("/").content.decode()
    assert "1 of 1 breaker rejects calls" in page
    assert "0 overrides" in page
