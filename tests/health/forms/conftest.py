"""People of each role at the forms of checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from resilience_site.core.choices import Role
from tests.health import scenes  # noqa: F401  # registers the kind `sample`


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
