"""API keys: made, shown once, revoked."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from resilience_site.core import keys as key_services
from resilience_site.core import selectors
from resilience_site.core.choices import Role, Scope
from resilience_site.core.models import ApiKey
from resilience_site.core.permissions import actor_of, require_role

_MAX_NAME = 100
_SHOWN = 200


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def keys(request: HttpRequest) -> HttpResponse:
    """The list of keys; a POST makes one, and its answer is the only place that shows the token."""
    token, problem = "", ""
    name = request.POST.get("name", "").replace("\0", "").strip()
    scope = request.POST.get("scope", "")
    if request.method == "POST":
        if not name or len(name) > _MAX_NAME:
            problem = f"Give the key a name of at most {_MAX_NAME} characters."
        elif scope not in Scope.values:
            problem = f"The scope must be one of {', '.join(Scope.values)}."
        else:
            _, token = key_services.key_create(
                name=name, scope=Scope(scope), actor=actor_of(request)
            )
    context = {
        "live_cursor": None,
        "keys": [(key, _state(key), f"revoke-{key.pk}") for key in selectors.api_keys()[:_SHOWN]],
        "scopes": Scope.choices,
        "token": token,
        "made": name if token else "",
        "ingests": scope == Scope.INGEST,
        "problem": problem,
        "wanted_name": name if problem else "",
        "wanted_scope": scope if problem else Scope.INGEST,
    }
    return render(request, "pages/keys.html", context, status=422 if problem else 200)


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= datetime.now(UTC) else "active"


@require_POST
@require_role(Role.ADMIN)
def key_revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """Revoke a key for good."""
    if not selectors.api_keys().filter(pk=key_id).exists():
        raise Http404("There is no such key.")
    key = key_services.key_revoke(key_id=key_id, actor=actor_of(request))
    messages.success(request, f"The key {key.name} is revoked; it is refused within five seconds.")
    return redirect("keys")
