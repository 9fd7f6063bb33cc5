"""A company's checks, and people of each role who look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from health.models import Check
from resilience_site.core import partitions
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Role, Scope
from tests.health.screens import scenes


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def empty_site(db: None) -> Iterator[None]:
    """What a first start leaves: roles, keys, no checks."""
    partitions.forget_known()
    bootstrap(admin_password="not-used-here", tokens={Scope.OPERATE: "o" * 40})
    yield
    # What was made in the test's transaction is gone with it.
    partitions.forget_known()


@pytest.fixture
def incident(empty_site: None, now: datetime) -> dict[str, Check]:
    """The database died, and much with it."""
    return scenes.incident(now)


@pytest.fixture
def as_role(db: None) -> Callable[[Role], Client]:
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
