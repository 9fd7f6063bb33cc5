"""Who may do what: people by role, machines by the scope of their key."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec
from urllib.parse import urlsplit

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from ninja.security.http import HttpAuthBase
from ninja.utils import check_csrf

from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role, Scope
from resilience_site.core.keys import key_check
from resilience_site.core.problems import Forbidden, Problem, Unauthorized, problem_response

P = ParamSpec("P")

_ROLES: Final = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
_INCLUDED: Final = {
    Scope.INGEST: frozenset({Scope.INGEST}),
    Scope.READ: frozenset({Scope.READ}),
    Scope.OPERATE: frozenset({Scope.READ, Scope.OPERATE}),
    Scope.ADMIN: frozenset({Scope.READ, Scope.OPERATE, Scope.ADMIN}),
}
_ROLE_SCOPE: Final = {
    Role.VIEWER: Scope.READ,
    Role.OPERATOR: Scope.OPERATE,
    Role.ADMIN: Scope.ADMIN,
}


def scope_allows(held: Scope, needed: Scope) -> bool:
    """Whether a key with scope `held` may do what needs `needed`."""
    return needed in _INCLUDED[held]


def role_allows(held: Role | None, needed: Role) -> bool:
    """Whether a person with role `held` may do what needs `needed`."""
    return held is not None and _ROLES.index(held) >= _ROLES.index(needed)


def role_of(user: AbstractBaseUser | AnonymousUser) -> Role | None:
    """The highest role of `user`; a superuser is an admin; None for anonymous or roleless ones.

    Remembered on the object, which lives for one request.
    """
    if not user.is_authenticated or not user.is_active:
        return None
    remembered = vars(user)
    if "_resilience_role" not in remembered:
        remembered["_resilience_role"] = _find_role(user)
    role: Role | None = remembered["_resilience_role"]
    return role


def _find_role(user: Any) -> Role | None:
    if user.is_superuser:
        return Role.ADMIN
    names = set(user.groups.filter(name__in=Role.values).values_list("name", flat=True))
    return next((role for role in reversed(_ROLES) if role in names), None)


_SCOPE_ROLE: Final = {
    Scope.READ: Role.VIEWER,
    Scope.OPERATE: Role.OPERATOR,
    Scope.ADMIN: Role.ADMIN,
}


class ApiRequest(HttpRequest):
    """A request that `ApiAuth` has let through; `role` is what its key or session stands for, None
    for a key of the scope ingest."""

    auth: Actor
    role: Role | None


def actor_of(request: HttpRequest) -> Actor:
    """The logged-in person behind a request of a page, as the audit trail names people."""
    return Actor(ActorKind.USER, request.user.get_username(), request.META.get("REMOTE_ADDR"))


def require_role(
    needed: Role,
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, P], HttpResponseBase],
]:
    """Guard a page: strangers go to the login page, people without the role get 403."""

    def decorate(
        view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return login_required_response(request)
            if not role_allows(role_of(request.user), needed):
                raise PermissionDenied(f"This page needs the role {needed.label.lower()}.")
            return view(request, *args, **kwargs)

        guarded.required_role = needed  # type: ignore[attr-defined]
        return guarded

    return decorate


def login_required_response(request: HttpRequest) -> HttpResponse:
    """To the login page and back; a fragment of an open page is told to go there as a whole."""
    if request.headers.get("HX-Request") != "true":
        return redirect_to_login(request.get_full_path())
    page = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = redirect_to_login(f"{page.path or '/'}{'?' + page.query if page.query else ''}")
    return HttpResponse(status=401, headers={"HX-Redirect": back.url or resolve_url("/")})


class ApiAuth(HttpAuthBase):
    """Authentication of a ninja operation: a key with one of `scopes`, or a session whose role
    stands for one of them (viewer: read, operator: operate, admin: admin).

    Sets `request.auth` to the `Actor`. Writes by session must pass the CSRF check. A bad key is
    refused even beside a good session. Raises `Unauthorized` (401) and `Forbidden` (403).
    """

    openapi_scheme = "bearer"

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes
        super().__init__()

    def __call__(self, request: HttpRequest) -> Actor:
        header = request.headers.get("Authorization", "")
        return self._by_key(request, header) if header else self._by_session(request)

    def _by_key(self, request: HttpRequest, header: str) -> Actor:
        token = bearer_token(header)
        key = key_check(token) if token else None
        if key is None:
            raise Unauthorized("The key is unknown, expired or revoked.")
        if not any(scope_allows(key.scope, scope) for scope in self.scopes):
            raise Forbidden(f"This needs a key with scope {self._needed()}, not {key.scope}.")
        request.role = _SCOPE_ROLE.get(key.scope)  # type: ignore[attr-defined]
        return Actor(ActorKind.KEY, key.name, request.META.get("REMOTE_ADDR"))

    def _by_session(self, request: HttpRequest) -> Actor:
        if not request.user.is_authenticated:
            raise Unauthorized
        role = role_of(request.user)
        if role is None or not any(scope_allows(_ROLE_SCOPE[role], s) for s in self.scopes):
            raise Forbidden(f"Your role does not include scope {self._needed()}.")
        if check_csrf(request) is not None:
            raise Forbidden("The CSRF token is missing or wrong; reload the page.")
        request.role = role  # type: ignore[attr-defined]
        return actor_of(request)

    def _needed(self) -> str:
        return " or ".join(self.scopes)


def bearer_token(header: str) -> str | None:
    """The token of an `Authorization` header, None when it is not a bearer token."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def require_scope(
    *scopes: Scope,
) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Guard a plain Django view like an operation of the API; a browser is sent to log in."""
    auth = ApiAuth(*scopes)

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        # Not functools.wraps: ninja hands over a partial, which has no name.
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                request.auth = auth(request)  # type: ignore[attr-defined]
            except Unauthorized as problem:
                if "text/html" in request.headers.get("Accept", ""):
                    return login_required_response(request)
                return problem_response(problem, request.path)
            except Problem as problem:
                return problem_response(problem, request.path)
            return view(request, *args, **kwargs)

        guarded.required_scopes = scopes  # type: ignore[attr-defined]
        return guarded

    return decorate
