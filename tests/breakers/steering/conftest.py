"""The fleet of `scenes`, and people of each role who look at it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from resilience_site.core import partitions
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Role, Scope
from resilience_site.pages import status
from tests.breakers.steering import scenes


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def empty_site(transactional_db: None) -> None:
    """What a first start leaves: roles, keys, nothing received."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(each.table for each in partitions.registered())}")
    partitions.forget_known()
    bootstrap(admin_password="not-used-here", tokens={Scope.INGEST: "i" * 40})
    status.forget()


@pytest.fixture
def fleet(empty_site: None, now: datetime) -> None:
    """Services with instances, and nothing decided."""
    scenes.fleet(now)


@pytest.fixture
def busy_fleet(fleet: None, now: datetime) -> None:
    """The fleet after half an hour of trouble, with toggles set and one service degraded."""
    scenes.traffic(now)
    scenes.decisions(now)


@pytest.fixture
def as_role(transactional_db: None) -> Callable[[Role], Client]:
    """A client signed in as a new user of a role."""

    def sign_in(role: Role) -> Client:
        user = get_user_model().objects.create_user(f"a-{role}")
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def viewer(as_role: Callable[[Role], Client]) -> Client:
    return as_role(Role.VIEWER)


@pytest.fixture
def operator(as_role: Callable[[Role], Client]) -> Client:
    return as_role(Role.OPERATOR)
