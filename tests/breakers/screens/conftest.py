"""People of each role on a site whose breakers are in trouble."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from resilience_site.core.choices import Role
from tests.breakers import scenes
from tests.breakers.scenes import Scene


@pytest.fixture
def as_role(db: None) -> Callable[[Role], Client]:
    """A client signed in as a new user of a role, named like it."""

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


@pytest.fixture
def graph(db: None) -> Scene:
    """The planner's breaker for Graph, closed in three instances."""
    scene = Scene(*scenes.GRAPH)
    scenes.store([scene], datetime.now(UTC))
    return scene


@pytest.fixture
def incident(db: None) -> list[Scene]:
    """Two dozen breakers; Graph is open, people have stepped in, one service fell silent."""
    return scenes.incident(datetime.now(UTC))
