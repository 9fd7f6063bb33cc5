"""The HTTP API at `/api/v1/`: one NinjaAPI, to which each app contributes its router.

Lists are `{"items": […], "next_cursor": …}`, times RFC 3339 UTC, errors `problem+json`. A request
that can be read but says something impossible is answered 422, one that cannot be read 400.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import orjson
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Router
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.params.models import QueryModel
from ninja.parser import Parser
from ninja.renderers import BaseRenderer

from resilience_site.api_description import ABOUT, Description, complete
from resilience_site.core import problems
from resilience_site.core.choices import Scope
from resilience_site.core.formatting import printable
from resilience_site.core.numbers import within_64_bits
from resilience_site.core.permissions import require_scope

logger = logging.getLogger(__name__)

# Each app's `api` module, where it has one, lists its `routers` as (prefix, router) pairs.
# What joins apps comes before them: their paths with names in them would match its own.
APPS: Final = (
    "resilience_site.core",
    "resilience_site.pages",
    "health",
    "breakers",
    "analytics",
    "alerting",
    "healing",
)


# Modules that describe the `paths` which are served beside the API and belong to it.
BESIDE: Final = ("breakers.control.description",)


class OrjsonParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        return orjson.loads(request.body)


class OrjsonRenderer(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        try:
            return _written(data)
        except orjson.JSONEncodeError:
            return _written(within_64_bits(data))


def _written(data: Any) -> bytes:
    return orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _routers(app: str) -> list[tuple[str, Router]]:
    name = f"{app}.api"
    return getattr(import_module(name), "routers", []) if find_spec(name) else []


# Who sends heartbeats may tell more in the address than is asked for.
_ANY_QUERY: Final = frozenset({"health_push"})


def _known_only(operation: Operation) -> None:
    """Let an operation that takes parameters refuse those that it does not know: a filter that is
    misspelt would be none at all."""
    known = sorted(
        name
        for model in operation.models
        if issubclass(model, QueryModel)
        for name in getattr(model, "__ninja_flatten_map__", model.model_fields)
    )
    if known and getattr(operation, "url_name", "") not in _ANY_QUERY:
        operation.view_func = _refusing(operation.view_func, known)


def _refusing(view: Callable[..., Any], known: Sequence[str]) -> Callable[..., Any]:
    @functools.wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        errors = [
            problems.FieldError(
                f"query.{printable(name[:100])}",
                f"There is no such parameter; known are {', '.join(known)}.",
            )
            for name in request.GET
            if name not in known
        ]
        if errors:
            raise problems.Invalid(f"{errors[0].field}: {errors[0].message}", errors[:20])
        return view(request, *args, **kwargs)

    return asked


class SiteApi(NinjaAPI):
    """Its description is made once: no path comes later, and to make it takes half a second."""

    @functools.cached_property
    def _described(self) -> dict[str, OpenAPISchema]:
        return {}

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        if prefix not in self._described:
            made = Description(self, prefix)
            self._described[prefix] = complete(made, (import_module(name).paths for name in BESIDE))
        return self._described[prefix]


def _build() -> NinjaAPI:
    api = SiteApi(
        title="Resilience control plane",
        version="1",
        description=ABOUT,
        urls_namespace="api",
        openapi_url="openapi.json",
        docs_url="docs",
        docs_decorator=require_scope(Scope.READ),
        parser=OrjsonParser(),
        renderer=OrjsonRenderer(),
    )
    for app in APPS:
        for prefix, router in _routers(app):
            for path in router.path_operations.values():
                for operation in path.operations:
                    _known_only(operation)
            api.add_router(prefix, router)
    return api


api = _build()


@api.exception_handler(problems.Problem)
def on_problem(request: HttpRequest, problem: problems.Problem) -> HttpResponse:
    return problems.problem_response(problem, request.path)


def _field(location: Sequence[str | int]) -> str:
    # ninja puts the name of the operation's parameter, by our custom `body` or `query`, after the
    # place. A query is flat: what follows the field names a part of its type.
    place, *parts = location[1:] if location[0] == location[1] else location
    return ".".join(map(str, [place, *(parts[:1] if place == "query" else parts)]))


def _wrong(error: Mapping[str, Any]) -> str:
    return "There is no such field." if error["type"] == "extra_forbidden" else str(error["msg"])


def _told(errors: Iterable[Mapping[str, Any]]) -> list[problems.FieldError]:
    """One error a field; of one that may be of several types, what any of them would take."""
    wrong: dict[str, list[Mapping[str, Any]]] = {}
    for each in errors:
        wrong.setdefault(_field(each["loc"]), []).append(each)
    return [problems.FieldError(field, _said(found)) for field, found in wrong.items()]


def _said(found: Sequence[Mapping[str, Any]]) -> str:
    if len(found) > 1 and all(each["type"] in ("enum", "literal_error") for each in found):
        expected = ", ".join(str(each["ctx"]["expected"]) for each in found)
        return f"Input should be {expected.replace(' or ', ', ')}"
    return "; ".join(dict.fromkeys(_wrong(each) for each in found))


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = _told(error.errors)
    detail = "; ".join(f"{each.field}: {each.message}" for each in errors)
    return on_problem(request, problems.Invalid(detail, errors))


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    problem = problems.Problem(str(error))
    problem.status = error.status_code
    return on_problem(request, problem)


@api.exception_handler(Http404)
def on_missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return on_problem(request, problems.NotFound(str(error) or "There is no such object."))


@api.exception_handler(OperationalError)
@api.exception_handler(InterfaceError)
def on_store_down(request: HttpRequest, error: Exception) -> HttpResponse:
    # Named by its route: a path may hold a secret, as that of a heartbeat does.
    match = request.resolver_match
    logger.warning("the database did not answer %s: %s", match.route if match else "", error)
    return on_problem(request, problems.Unavailable("The database does not answer; try again."))
