"""Everybody tries everything: each route of the site, as each of the cast."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import resolve_url
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import DjangoDbBlocker

from resilience_site.api import api
from resilience_site.core import keys
from resilience_site.core.choices import Role, Scope
from resilience_site.core.permissions import role_allows, scope_allows

from .access import Admin, Api, Everybody, Page, Policy, Row, SignOut
from .access_table import ROWS
from .conftest import Caller, everybody

Cast = dict[str, Caller]

ROLE_SCOPES = {Role.VIEWER: Scope.READ, Role.OPERATOR: Scope.OPERATE, Role.ADMIN: Scope.ADMIN}
KEYS = {f"key_{scope.value}": scope for scope in Scope}
PEOPLE: dict[str, Role | None] = {"roleless": None, **{role.value: role for role in Role}}


@pytest.fixture(scope="module")
def all_of_them(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Cast]:
    """Made once for hundreds of routes, in a transaction around those of the tests."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield everybody()
        transaction.set_rollback(True)


@pytest.fixture
def cast(all_of_them: Cast, db: None) -> Cast:
    keys.cache_clear()
    return {name: caller.again() for name, caller in all_of_them.items()}


def api_operations() -> Iterator[tuple[str, str]]:
    """(method, route) of every operation of the API."""
    for router in api._get_bound_routers():
        for path, view in router.path_operations.items():
            route = f"/api/v1/{router.prefix}/{path}".replace("{", "<").replace("}", ">")
            while "//" in route:
                route = route.replace("//", "/")
            for operation in view.operations:
                for method in operation.methods:
                    yield method, route


def site_routes(
    patterns: list[URLPattern | URLResolver] | None = None, start: str = "/"
) -> Iterator[str]:
    """The route of every URL pattern; the stock admin counts as one."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = f"{start}{each.pattern}"
        if isinstance(each, URLPattern) or each.namespace == "admin":
            yield route
        else:
            yield from site_routes(each.url_patterns, route)


def test_every_route_has_a_row() -> None:
    operations = set(api_operations())
    rows = {(row.method, row.route) for row in ROWS}
    assert operations - rows == set(), "operations of the API without a row in access_table.py"
    assert set(site_routes()) - {row.route for row in ROWS} == set(), "paths without a row"


def test_no_row_is_left_of_a_route_that_is_gone() -> None:
    routes = {(method, route) for method, route in api_operations()}
    plain = set(site_routes()) - {route for _, route in routes}
    stale = [
        row for row in ROWS if (row.method, row.route) not in routes and row.route not in plain
    ]
    assert stale == []


def allowed(policy: Policy, name: str) -> bool:
    if isinstance(policy, Everybody):
        return True
    if isinstance(policy, Page):
        return role_allows(PEOPLE.get(name), policy.role)
    if isinstance(policy, Admin | SignOut):
        return False
    if name in KEYS:
        return scope_allows(KEYS[name], policy.scope)
    role = PEOPLE.get(name)
    return role is not None and scope_allows(ROLE_SCOPES[role], policy.scope)


def refusal(policy: Policy, name: str) -> str:
    """How somebody who may not pass is turned away."""
    if isinstance(policy, Admin | SignOut):
        return "to the login"
    if isinstance(policy, Page):
        return "403" if name in PEOPLE else "to the login"
    return "401" if name in ("anonymous", "key_revoked") else "403"


def outcome(response: HttpResponse) -> str:
    if response.status_code == 302:
        target = response.headers["Location"].partition("?")[0]
        if target in (resolve_url(settings.LOGIN_URL), "/admin/login/"):
            return "to the login"
    if response.status_code in (401, 403):
        return str(response.status_code)
    return "in"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.route}")
def test_a_route_lets_in_whom_it_should_and_nobody_else(row: Row, cast: Cast) -> None:
    body = {"data": b"{}", "content_type": "application/json"} if row.method != "GET" else {}
    answers = {
        name: outcome(caller.call(row.method, row.path, **body)) for name, caller in cast.items()
    }
    expected = {
        name: "in" if allowed(row.policy, name) else refusal(row.policy, name) for name in answers
    }
    assert answers == expected


def test_a_write_by_session_without_the_csrf_token_is_refused(cast: Cast) -> None:
    for row in ROWS:
        if not isinstance(row.policy, Api) or row.method == "GET":
            continue
        if row.policy.scope == Scope.INGEST:
            continue
        response = cast["admin"].call(row.method, row.path, headers={"X-CSRFToken": ""})
        assert response.status_code == 403, row
