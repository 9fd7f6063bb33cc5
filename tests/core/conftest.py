"""A fixed cast of callers: people of each role, keys of each scope, and those who may nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import Client

from resilience_site.core import keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role, Scope


class Caller:
    """Somebody who calls the site: with a session, with a key, or with neither."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        # Any 32 characters are a CSRF token when cookie and header agree; it proves no identity.
        self.client.cookies[settings.CSRF_COOKIE_NAME] = "c" * 32
        self.headers = {"X-CSRFToken": "c" * 32}

    def again(self) -> Caller:
        """The same caller, of whom nothing that is done is remembered here."""
        same = Caller(self.name)
        same.client.cookies.update(self.client.cookies)
        same.headers = dict(self.headers)
        return same

    def call(self, method: str, path: str, **options: Any) -> HttpResponse:
        headers = {**self.headers, **options.pop("headers", {})}
        return self.client.generic(method, path, headers=headers, **options)


def person(name: str, role: Role | None) -> Caller:
    user = get_user_model().objects.create_user(name)
    if role is not None:
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    caller = Caller(name)
    caller.client.force_login(user)
    return caller


def machine(name: str, scope: Scope, *, revoked: bool = False) -> Caller:
    key, token = keys.key_create(name=name, scope=scope, actor=Actor.system("test"))
    if revoked:
        keys.key_revoke(key_id=key.pk, actor=Actor.system("test"))
    caller = Caller(name)
    caller.headers["Authorization"] = f"Bearer {token}"
    return caller


def everybody() -> dict[str, Caller]:
    """Make the whole cast."""
    keys.cache_clear()
    callers = [
        Caller("anonymous"),
        person("roleless", None),
        *(person(role.value, role) for role in Role),
        *(machine(f"key_{scope.value}", scope) for scope in Scope),
        machine("key_revoked", Scope.ADMIN, revoked=True),
    ]
    return {caller.name: caller for caller in callers}


@pytest.fixture
def cast(db: None) -> dict[str, Caller]:
    return everybody()


@pytest.fixture
def caller(cast: dict[str, Caller]) -> Callable[[str], Caller]:
    return cast.__getitem__
