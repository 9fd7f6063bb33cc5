"""Routes and inhibitions: who is told of which alerts, and where an alert would go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from alerting.domain.matchers import MatcherError, matchers_read, matchers_stored, matchers_text
from alerting.models import Channel, Route
from alerting.selectors.route_trial import Trial, route_trial
from alerting.selectors.routing import inhibition_list, route_list
from alerting.selectors.told_alone import routes_to_nobody
from alerting.services.routes import route_create, route_delete, route_update
from alerting.services.shipped_routing import DEFAULT_ROUTE
from alerting.views.numbers import whole_number
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Problem
from resilience_site.core.screens import (
    acting_only,
    back_to,
    form_answer,
    is_partial,
    may_operate,
    tried,
)

METHODS: Final = ["GET", "HEAD", "POST"]
_NUMBERS: Final = (
    "position",
    "group_wait_seconds",
    "group_interval_seconds",
    "repeat_interval_seconds",
)
_FLAGS: Final = ("goes_on", "every_channel", "enabled")
_NEW: Final[Mapping[str, Any]] = {
    "name": "", "position": "100", "matchers": "severity=page", "group_by": "incident, severity",
    "group_wait_seconds": "30", "group_interval_seconds": "300", "repeat_interval_seconds": "14400",
    "goes_on": False, "every_channel": False, "enabled": True, "channels": [],
}  # fmt: skip
_NOBODY: Final = (
    "It has no channel that is enabled and tells nobody, apart from pages: they go by any other "
    "channel that works."
)
_MOST_GIVEN: Final = 5_000


@require_GET
@require_role(Role.VIEWER)
def routes(request: HttpRequest) -> HttpResponse:
    """All routes in their order, what holds what, and where an alert would go."""
    cursor = journal.latest_cursor()
    given = request.GET.get("labels", "").replace("\0", "")[:_MOST_GIVEN]
    trial, wrong = _trial(given)
    found = list(route_list())
    context = {
        "live_cursor": cursor,
        "rows": [(each, matchers_text(matchers_stored(each.matchers))) for each in found],
        "nobody": routes_to_nobody(found),
        "inhibitions": [
            (
                each,
                matchers_text(matchers_stored(each.source)),
                matchers_text(matchers_stored(each.target)),
            )
            for each in inhibition_list()
        ],
        "default_route": DEFAULT_ROUTE,
        "labels": given,
        "trial": trial,
        "wrong": wrong,
        "may_operate": may_operate(request),
    }
    part = "_list" if is_partial(request) else "list"
    return render(request, f"alerting/routes/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("route.create", "route")
def route_new(request: HttpRequest) -> HttpResponse:
    """The form of a new route; a POST makes it."""

    def make() -> Route:
        return route_create(
            name=request.POST.get("name", "").replace("\0", "").strip(),
            fields=_given(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    done, made, problem = tried(request, make)
    if done:
        _say(request, made, "The route is made. What fires is routed anew within seconds.")
        return redirect(reverse("alert-routes"))
    return _form(request, None, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("route.update", "route")
def route_edit(request: HttpRequest, name: str) -> HttpResponse:
    """The form of a route; a POST changes it."""
    route = _or_404(name)

    def change() -> Route:
        fields = _given(request)
        if name == DEFAULT_ROUTE:
            fields = {key: value for key, value in fields.items() if key != "enabled"}
        return route_update(
            name=name,
            fields=fields,
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    done, changed, problem = tried(request, change)
    if done:
        _say(request, changed, f"The route {name} is changed.")
        return redirect(reverse("alert-routes"))
    return _form(request, route, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("route.delete", "route")
def route_remove(request: HttpRequest, name: str) -> HttpResponse:
    """The question whether to delete a route; a POST does."""
    route = _or_404(name)

    def delete() -> None:
        route_delete(
            name=name,
            if_match=_version(request),
            actor=actor_of(request),
            now=datetime.now(UTC),
        )

    done, _, problem = tried(request, delete)
    if done:
        messages.info(request, f"The route {name} is deleted.")
        return redirect(reverse("alert-routes"))
    context = {
        "form": "alerting/routes/_delete_form.html",
        "title": f"Delete the route {name}",
        "next": back_to(request, reverse("alert-routes")),
        "route": route,
        "live": route.groups.exclude(due_at=None).count(),
    }
    return form_answer(request, context, problem)


def _say(request: HttpRequest, route: Route | None, text: str) -> None:
    """Say that a route is saved, and whether it tells nobody."""
    if route is not None and route.enabled and routes_to_nobody([route]):
        messages.warning(request, f"{text} {_NOBODY}")
    else:
        messages.info(request, text)


def _form(request: HttpRequest, route: Route | None, problem: Problem | None) -> HttpResponse:
    values = _values(request, route)
    context: dict[str, Any] = {
        "route": route,
        "title": f"Edit the route {route.name}" if route else "New route",
        "next": reverse("alert-routes"),
        "values": values,
        "nobody": _NOBODY if route is not None and routes_to_nobody([route]) else "",
        "fixed": route is not None and route.name == DEFAULT_ROUTE,
        "channels": [
            (each, each.name in values["channels"]) for each in Channel.objects.order_by("name")
        ],
        "version": _or_404(route.name).version if route else "",
        "errors": {each.field: each.message for each in getattr(problem, "errors", ())},
    }
    return form_answer(request, context, problem, "alerting/routes/form.html")


def _values(request: HttpRequest, route: Route | None) -> dict[str, Any]:
    if request.method == "POST":
        post = request.POST
        return {
            **{name: post.get(name, "") for name in ("name", "matchers", "group_by", *_NUMBERS)},
            **{name: name in post for name in _FLAGS},
            "channels": post.getlist("channels"),
        }
    if route is None:
        return dict(_NEW)
    return {
        **{name: getattr(route, name) for name in ("name", *_NUMBERS, *_FLAGS)},
        "matchers": "\n".join(map(str, matchers_stored(route.matchers))),
        "group_by": ", ".join(route.group_by),
        "channels": [each.name for each in route.channels.all()],
    }


def _given(request: HttpRequest) -> dict[str, Any]:
    """The fields of a route; what cannot be read is left for the service to refuse."""
    post = request.POST
    return {
        **{name: whole_number(post.get(name, "")) for name in _NUMBERS},
        **{name: name in post for name in _FLAGS},
        "matchers": post.get("matchers", ""),
        "group_by": [each.strip() for each in post.get("group_by", "").split(",") if each.strip()],
        "channels": post.getlist("channels"),
    }


def _version(request: HttpRequest) -> int | None:
    version = whole_number(request.POST.get("version", ""))
    return version if isinstance(version, int) else None


def _trial(given: str) -> tuple[Trial | None, str]:
    """Where an alert of the labels goes, or why they cannot be read."""
    if not given.strip():
        return None, ""
    try:
        matchers = matchers_read(given)
    except MatcherError as error:
        return None, str(error)
    if any(each.op != "=" for each in matchers):
        return None, "An alert has labels such as service=planner, and no patterns."
    return route_trial({each.label: each.value for each in matchers}, datetime.now(UTC)), ""


def _or_404(name: str) -> Route:
    found = None if "\0" in name else route_list().filter(name=name).first()
    if found is None:
        raise Http404("There is no such route.")
    return found
