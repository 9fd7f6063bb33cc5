"""Toggles: what is switched, for whom and until when, who works by it, and switching it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from breakers.models import Toggle
from breakers.selectors.applied import applied_by_service
from breakers.selectors.toggles import (
    ToggleView,
    toggle_find,
    toggle_history,
    toggle_list,
    toggle_views,
)
from breakers.services.toggles import toggle_revert, toggle_set
from breakers.views.common import (
    back_to,
    first_steps,
    is_partial,
    may_operate,
    operators_only,
    reason_given,
    topic,
)
from breakers.views.decisions import NO_END, Decided, decided, end_given, json_text, rows_of
from breakers.views.forms import METHODS, check_reason, expiries, form_page, version_given
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, require_role, role_of
from resilience_site.core.problems import Conflict, Invalid, Problem

HISTORY_SHOWN = 20
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class ToggleRow:
    """A toggle as it is listed; texts are JSON as services are told it."""

    view: ToggleView
    value: str
    otherwise: str
    share: str


@require_GET
@require_role(Role.VIEWER)
def toggles(request: HttpRequest) -> HttpResponse:
    """All toggles by key."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    found = toggle_list(q=request.GET.get("q", ""), state=request.GET.get("state", ""))
    rows = [_row(view) for view in toggle_views(list(found), now=now)]
    context = {
        "live_cursor": cursor,
        "rows": rows,
        "filtered": any(request.GET.get(name) for name in ("q", "state")),
        "may_operate": may_operate(request),
        **first_steps(rows),
    }
    return render(
        request, f"breakers/{'_toggles' if is_partial(request) else 'toggles'}.html", context
    )


@require_GET
@require_role(Role.VIEWER)
def toggle_detail(request: HttpRequest, key: str) -> HttpResponse:
    """One toggle: what holds, who works by it, and what was done about it."""
    cursor, now = journal.latest_cursor(), datetime.now(UTC)
    [view] = toggle_views([_toggle_or_404(key)], now=now)
    entries = toggle_history(key).order_by("-at", "-pk")[:HISTORY_SHOWN]
    context = {
        "live_cursor": cursor,
        "row": _row(view),
        "topics": f"{topic('toggles', key)} control",
        "resting": _resting(view.toggle),
        "history": [(entry, *_told(decided(entry))) for entry in entries],
        "may_operate": may_operate(request),
    }
    part = "_toggle_body" if is_partial(request) else "toggle"
    return render(request, f"breakers/{part}.html", context)


@never_cache
@require_http_methods(METHODS)
@operators_only("toggle.set", "toggle")
def toggle_new(request: HttpRequest) -> HttpResponse:
    """The form of a toggle that is not there yet; a POST makes it."""
    key = request.POST.get("key", "").replace("\0", "").strip()
    return _set(request, key, None)


@never_cache
@require_http_methods(METHODS)
@operators_only("toggle.set", "toggle")
def set_toggle(request: HttpRequest, key: str) -> HttpResponse:
    """The form that switches a toggle; a POST does it."""
    return _set(request, key, _toggle_or_404(key))


@never_cache
@require_http_methods(METHODS)
@operators_only("toggle.revert", "toggle")
def revert_toggle(request: HttpRequest, key: str) -> HttpResponse:
    """The form that puts a toggle back; a POST does it."""
    toggle = _toggle_or_404(key)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            toggle_revert(
                key=key,
                reason=reason_given(request),
                actor=actor_of(request),
                role=role_of(request.user),
                if_match=version_given(request),
            )
        except Problem as refused:
            problem, toggle = refused, _toggle_or_404(key)
        else:
            messages.info(request, f"Requested: {key} goes back.")
            return redirect(back_to(request, reverse("toggle", args=[key])))
    return _form(
        request, "toggle_revert", toggle, problem,
        title=f"Put {key} back", resting=_resting(toggle),
    )  # fmt: skip


def _set(request: HttpRequest, key: str, toggle: Toggle | None) -> HttpResponse:
    problem: Problem | None = None
    if request.method == "POST":
        try:
            check_reason(reason_given(request))
            made = toggle_set(
                key=key,
                **_given(request.POST),
                reason=reason_given(request),
                expires_in=end_given(request),
                actor=actor_of(request),
                role=role_of(request.user),
                if_match=version_given(request),
            )
        except Problem as refused:
            problem = refused
            # Of a new one that is there already, the form becomes that of a change.
            toggle = toggle_find(key) if toggle or isinstance(refused, Conflict) else None
        else:
            messages.info(request, f"Requested: {key} is {json_text(made.value)}.")
            return redirect(back_to(request, reverse("toggle", args=[key])))
    services = _choices(request, toggle)
    return _form(
        request, "toggle", toggle, problem,
        title=f"Set {toggle.key}" if toggle else "New toggle",
        wanted=_wanted(request, toggle), key=key,
        services=services, narrowed=any(chosen for _, chosen in services),
        expiries=[*expiries(request), NO_END],
        expires_in=request.POST.get("expires_in", ""),
    )  # fmt: skip


def _form(
    request: HttpRequest, form: str, toggle: Toggle | None, problem: Problem | None, **more: Any
) -> HttpResponse:
    """A form about a toggle, with both sides of a conflict."""
    if isinstance(problem, Conflict):
        more |= {"standing": rows_of(problem.current), "asked": rows_of(problem.proposed)}
    home = reverse("toggle", args=[toggle.key]) if toggle else reverse("toggles")
    version = toggle.version if toggle else 0
    return form_page(request, form, problem, home, toggle=toggle, version=str(version), **more)


def _given(sent: QueryDict) -> dict[str, Any]:
    """What the form asks for. Raises `Invalid` for what is no JSON or no number."""
    kind = sent.get("value", "")
    value = _FLAGS[kind] if kind in _FLAGS else _json(sent.get("value_json", ""), "value")
    share = sent.get("rollout", "").strip() or "100"
    try:
        rollout = float(share) / 100
    except ValueError:
        raise Invalid.field("body.rollout", "The share is a number from 0 to 100.") from None
    return {
        "value": value,
        "otherwise": _json(sent.get("otherwise", "").strip() or "false", "otherwise"),
        "rollout": rollout,
        "services": [name for name in sent.getlist("services") if name.strip()],
        "instances": _names(sent.get("instances", "")),
        "owner": sent.get("owner", ""),
        "description": sent.get("description", ""),
    }


def _json(text: str, field: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Invalid.field(
            f"body.{field}", f'{text[:80]!r} is no JSON: true, 50, "text", [1, 2] are.'
        ) from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.replace("\n", ",").split(",") if name.strip()]


def _wanted(request: HttpRequest, toggle: Toggle | None) -> dict[str, str]:
    """What the fields hold: what was sent, else what stands."""
    if request.method == "POST":
        return {name: request.POST.get(name, "") for name in request.POST}
    if toggle is None:
        return {"value": "true", "otherwise": "false", "rollout": "100"}
    text = json_text(toggle.value)
    return {
        "value": text if text in _FLAGS else "json",
        "value_json": "" if text in _FLAGS else text,
        "otherwise": json_text(toggle.otherwise),
        "rollout": f"{toggle.rollout * 100:g}",
        "instances": ", ".join(toggle.instances),
        "owner": toggle.owner,
        "description": toggle.description,
    }


def _choices(request: HttpRequest, toggle: Toggle | None) -> list[tuple[str, bool]]:
    """All services that may be told, each with whether it is chosen."""
    sent = request.POST.getlist("services") if request.method == "POST" else None
    chosen = sent if sent is not None else (toggle.services if toggle else [])
    known = applied_by_service(now=datetime.now(UTC))
    return [(name, name in chosen) for name in sorted({*known, *chosen})]


def _row(view: ToggleView) -> ToggleRow:
    toggle = view.toggle
    return ToggleRow(
        view,
        json_text(toggle.value),
        json_text(toggle.otherwise),
        "" if toggle.rollout >= 1 else f"{toggle.rollout * 100:g} %",
    )


def _resting(toggle: Toggle) -> str:
    """What it goes back to, in words."""
    if toggle.resting is None:
        return "as if it had never been set"
    return f"to {json_text(toggle.resting.get('value'))}"


def _told(what: Decided) -> Iterable[str]:
    """Tone and words of an entry of the history."""
    if what.refused:
        return "warn", "Refused to revert" if "revert" in what.action else "Refused to set"
    after = what.after
    if what.action == "toggle.set":
        share = float(after.get("rollout", 1))
        some = "" if share >= 1 else f" for {share * 100:g} % of those who ask"
        return "info", f"Set to {json_text(after.get('value'))}{some}"
    verb = "Expired" if what.action.endswith("expired") else "Put back"
    if not after.get("set"):
        return "", f"{verb}: as if never set"
    return "", f"{verb} to {json_text(after.get('value'))}"


def _toggle_or_404(key: str) -> Toggle:
    toggle = toggle_find(key)
    if toggle is None:
        raise Http404("There is no such toggle.")
    return toggle
