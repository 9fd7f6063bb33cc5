from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from resilience_site.core.choices import Role, Scope
from resilience_site.core.permissions import (
    ApiAuth,
    bearer_token,
    require_role,
    role_allows,
    role_of,
    scope_allows,
)
from resilience_site.core.problems import Forbidden, Unauthorized


def test_scopes_include_the_smaller_ones_and_ingest_stands_alone() -> None:
    table = {(a, b) for a in Scope for b in Scope if scope_allows(a, b)}
    assert table == {
        (Scope.INGEST, Scope.INGEST),
        (Scope.READ, Scope.READ),
        (Scope.OPERATE, Scope.READ),
        (Scope.OPERATE, Scope.OPERATE),
        (Scope.ADMIN, Scope.READ),
        (Scope.ADMIN, Scope.OPERATE),
        (Scope.ADMIN, Scope.ADMIN),
    }


def test_roles_include_the_smaller_ones() -> None:
    assert [[role_allows(a, b) for b in Role] for a in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert not role_allows(None, Role.VIEWER)


def user_with(*groups: str, **fields: Any) -> Any:
    user = get_user_model().objects.create_user("someone", **fields)
    for name in groups:
        user.groups.add(Group.objects.get_or_create(name=name)[0])
    return user


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ([], None),
        (["strangers"], None),
        (["viewer"], Role.VIEWER),
        (["viewer", "admin", "operator"], Role.ADMIN),
    ],
)
def test_the_highest_group_counts(groups: list[str], role: Role | None) -> None:
    assert role_of(user_with(*groups)) == role


@pytest.mark.django_db
def test_a_superuser_is_an_admin_and_a_locked_one_is_nobody() -> None:
    user = user_with(is_superuser=True)
    assert role_of(user) == Role.ADMIN
    user.is_active = False
    assert role_of(user) is None
    assert role_of(AnonymousUser()) is None


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
    ],
)
def test_only_bearer_tokens_count(header: str, token: str | None) -> None:
    assert bearer_token(header) == token


@require_role(Role.OPERATOR)
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("in")


def visit(user: Any, path: str = "/breakers?range=1h", **headers: str) -> HttpResponse:
    request = RequestFactory().get(path, headers=headers)
    request.user = user
    response = page(request)
    assert isinstance(response, HttpResponse)
    return response


def test_a_stranger_is_sent_to_log_in_and_back() -> None:
    response = visit(AnonymousUser())
    assert response.status_code == 302
    assert response.headers["Location"].endswith("?next=/breakers%3Frange%3D1h")


def test_a_fragment_of_an_open_page_sends_the_whole_page_to_log_in() -> None:
    response = visit(
        AnonymousUser(),
        "/partials/row",
        **{"HX-Request": "true", "HX-Current-URL": "http://testserver/errors?q=1"},
    )
    assert response.status_code == 401
    assert response.headers["HX-Redirect"].endswith("?next=/errors%3Fq%3D1")


@pytest.mark.django_db
def test_a_page_is_open_from_its_role_upward() -> None:
    with pytest.raises(PermissionDenied):
        visit(user_with("viewer"))
    get_user_model().objects.all().delete()
    assert visit(user_with("admin")).content == b"in"


def ask(caller: Any, scope: Scope, method: str = "GET", **headers: str) -> Any:
    """What `ApiAuth` says to a request of this caller's session or key."""
    request: HttpRequest = RequestFactory().generic(
        method, "/api/v1/x", headers={**caller.headers, **headers}
    )
    request.COOKIES.update({name: morsel.value for name, morsel in caller.client.cookies.items()})
    request.session = caller.client.session
    request.user = get_user(request)
    return ApiAuth(scope)(request)


def test_the_actor_is_the_person_or_the_key(caller: Callable[[str], Any]) -> None:
    assert ask(caller("viewer"), Scope.READ) == ("user", "viewer", "127.0.0.1")
    assert ask(caller("key_ingest"), Scope.INGEST) == ("key", "key_ingest", "127.0.0.1")


def test_unknown_is_401_and_not_allowed_is_403(caller: Callable[[str], Any]) -> None:
    for name in ("anonymous", "key_revoked"):
        with pytest.raises(Unauthorized):
            ask(caller(name), Scope.READ)
    for name in ("roleless", "viewer", "key_read", "key_ingest"):
        with pytest.raises(Forbidden):
            ask(caller(name), Scope.OPERATE)
    with pytest.raises(Forbidden):
        ask(caller("admin"), Scope.INGEST)


def test_a_bad_key_is_refused_even_beside_a_good_session(caller: Callable[[str], Any]) -> None:
    with pytest.raises(Unauthorized):
        ask(caller("admin"), Scope.READ, Authorization="Bearer nonsense")


def test_a_write_by_session_needs_the_csrf_token_and_a_read_does_not(
    caller: Callable[[str], Any],
) -> None:
    assert ask(caller("operator"), Scope.OPERATE, "POST").name == "operator"
    with pytest.raises(Forbidden, match="CSRF"):
        ask(caller("operator"), Scope.OPERATE, "POST", **{"X-CSRFToken": "x" * 32})
    assert ask(caller("operator"), Scope.OPERATE, "GET", **{"X-CSRFToken": ""})
    assert ask(caller("key_operate"), Scope.OPERATE, "POST")
