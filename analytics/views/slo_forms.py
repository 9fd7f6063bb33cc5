"""Forms that set, change and delete objectives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from analytics.choices import SloKind, SloSource
from analytics.models import Slo
from analytics.selectors.slo_notes import unknown_service
from analytics.selectors.slos import slo_get
from analytics.services.slos import slo_change, slo_create, slo_delete
from analytics.views.slo_words import aim_text
from health.selectors import service_list
from health.views.option_fields import Field
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Conflict, Invalid, Problem
from resilience_site.core.screens import acting_only, back_to, form_answer, reason_given, tried

METHODS: Final = ["GET", "HEAD", "POST"]
_SERVICES: Final = 200
EMPTY_GUARD: Final = (
    "Empty: 10 calls, the seconds of three probes, or more runs than two of each check."
)
_LABELS: Final = {
    "service": "Service", "kind": "Kind", "source": "Measured by", "objective": "Objective",
    "window_days": "Window", "threshold_ms": "Threshold", "min_bad": "Guard",
    "enabled": "Watched", "version": "Version",
}  # fmt: skip


@never_cache
@require_http_methods(METHODS)
@acting_only("slo.create", "slo")
def slo_new(request: HttpRequest) -> HttpResponse:
    """The form of a new objective; a POST sets it."""
    unknown = unknown_service(request.POST.get("service", "").strip())
    done, row, problem = tried(request, lambda: _create(request))
    if done:
        assert row is not None
        messages.success(request, f"{row.service} is to hold {aim_text(row)}.")
        if unknown:
            messages.warning(request, unknown)
        return redirect(reverse("slo", args=[row.id]))
    home = back_to(request, reverse("slos"))
    return _form(request, "Set an objective", None, home, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("slo.change", "slo")
def slo_edit(request: HttpRequest, slo_id: UUID) -> HttpResponse:
    """The form that changes an objective; a POST does, with a reason for the audit trail."""
    row = _row_or_404(slo_id)
    done, changed, problem = tried(request, lambda: _change(request, row))
    home = back_to(request, reverse("slo", args=[slo_id]))
    if done:
        assert changed is not None
        messages.success(request, f"{changed.service} is to hold {aim_text(changed)}.")
        return redirect(home)
    # What somebody else changed meanwhile is what the form knows from here on.
    row = _row_or_404(slo_id)
    return _form(request, f"Change the objective of {row.service}", row, home, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("slo.delete", "slo")
def slo_remove(request: HttpRequest, slo_id: UUID) -> HttpResponse:
    """The question before an objective is deleted; a POST deletes it."""
    row = _row_or_404(slo_id)
    done, _, problem = tried(
        request,
        lambda: slo_delete(
            slo_id=slo_id, reason=_reason(request), if_match=_version(request),
            actor=actor_of(request), now=datetime.now(UTC),
        ),
    )  # fmt: skip
    if done:
        messages.success(request, f"The objective of {row.service} is deleted.")
        return redirect(reverse("slos"))
    home = back_to(request, reverse("slo", args=[slo_id]))
    row = _row_or_404(slo_id)
    context = {
        **_shared(request, row, home, problem),
        "form": "analytics/_slo_delete_form.html",
        "title": f"Delete the objective of {row.service}",
        "aim": aim_text(row),
    }
    return form_answer(request, context, problem)


# --- What a form says ----------------------------------------------------------------------------


def _create(request: HttpRequest) -> Slo:
    post = request.POST
    return slo_create(
        service=post.get("service", "").strip(), kind=post.get("kind", ""),
        source=post.get("source") or None, **_numbers(post), reason=reason_given(request),
        actor=actor_of(request), now=datetime.now(UTC),
    )  # fmt: skip


def _change(request: HttpRequest, row: Slo) -> Slo:
    changes = {
        **_numbers(request.POST), "enabled": "enabled" in request.POST
    }  # fmt: skip
    if changes["min_bad"] is None:
        raise Invalid.field("min_bad", "Say how many have to be bad; 0 for no guard.")
    return slo_change(
        slo_id=row.id, changes=changes, reason=_reason(request), if_match=_version(request),
        actor=actor_of(request), now=datetime.now(UTC),
    )  # fmt: skip


def _reason(request: HttpRequest) -> str:
    reason = reason_given(request)
    if not reason:
        raise Invalid.field("reason", "Say why; it stands in the audit trail.")
    return reason


def _version(request: HttpRequest) -> int | None:
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _numbers(post: Mapping[str, str]) -> dict[str, Any]:
    return {
        "objective": _number(post, "objective", percent=True),
        "window_days": _number(post, "window_days"),
        "threshold_ms": _number(post, "threshold_ms"),
        "min_bad": _number(post, "min_bad"),
    }


def _number(post: Mapping[str, str], name: str, *, percent: bool = False) -> float | str | None:
    """A number as typed, one in percent as a share; what is none is left to be refused."""
    text = post.get(name, "").strip().replace(",", ".")
    if not text:
        return None
    try:
        # Written like this, 99.9 becomes the same number as 0.999 does.
        return float(f"{text}e-2") if percent else float(text)
    except ValueError:
        return text


def _row_or_404(slo_id: UUID) -> Slo:
    try:
        return slo_get(slo_id)
    except Slo.DoesNotExist:
        raise Http404("There is no such objective.") from None


# --- The form ------------------------------------------------------------------------------------


def _form(
    request: HttpRequest, title: str, row: Slo | None, home: str, problem: Problem | None
) -> HttpResponse:
    context = {
        **_shared(request, row, home, problem),
        "form": "analytics/_slo_form.html",
        "title": title,
        "action": reverse("slo-edit", args=[row.id]) if row else reverse("slo-new"),
        "fields": _fields(request, row, problem),
        "services": [] if row else service_list().values_list("name", flat=True)[:_SERVICES],
    }
    return form_answer(request, context, problem)


def _shared(
    request: HttpRequest, row: Slo | None, home: str, problem: Problem | None
) -> dict[str, Any]:
    context: dict[str, Any] = {
        "slo": row,
        "version": row.version if row else "",
        "next": home,
        "reason": reason_given(request),
    }
    if isinstance(problem, Conflict):
        context |= {"standing": _pairs(problem.current), "asked": _pairs(problem.proposed)}
    return context


def _pairs(said: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(_LABELS[name], value) for name, value in said.items() if name in _LABELS]


def _fields(request: HttpRequest, row: Slo | None, problem: Problem | None) -> list[Field]:
    errors = {each.field: each.message for each in getattr(problem, "errors", ())}

    def field(name: str, label: str, standing: object, help: str, **more: Any) -> Field:
        sent = request.POST.get(name, "") if request.method == "POST" else None
        value = ("" if standing is None else str(standing)) if sent is None else sent
        given: dict[str, Any] = {"widget": "number", **more}
        return Field(name, label, value=value, help=help, error=errors.get(name, ""), **given)

    fields = [
        field(
            "objective", "Objective, percent", _percent(row.objective) if row else "99.9",
            "Of 99.9 %, a thousandth may be bad: 43 minutes in 30 days.", required=True,
        ),
        field(
            "window_days", "Window, days", row.window_days if row else 30,
            "7 to 90. The budget rolls on with it.", required=True,
        ),
    ]  # fmt: skip
    if row is None or row.kind == SloKind.LATENCY:
        fields.append(
            field(
                "threshold_ms", "Threshold, ms", row.threshold_ms if row else "",
                "Of latency alone: what took longer is too slow.",
            )
        )  # fmt: skip
    fields.append(
        field(
            "min_bad", f"Guard, bad {row.terms.unit if row else 'calls, seconds or runs'}",
            row.min_bad if row else "",
            "With fewer in the long window of a burn rate nobody is called."
            + ("" if row else f" {EMPTY_GUARD}"),
        )
    )  # fmt: skip
    if row is not None:
        return fields
    return [
        field(
            "service", "Service", request.GET.get("service", ""), "Its service.name.",
            widget="text", required=True, suggestions="slo-services",
        ),
        field(
            "kind", "Kind", SloKind.AVAILABILITY.value, "Whether it works, or how fast.", widget="select",
            choices=tuple(SloKind.choices),
        ),
        field(
            "source", "Measured by", "", "Checks count seconds, or runs.", widget="select",
            choices=(("", "what the service has"), *SloSource.choices),
        ),
        *fields,
    ]  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.4f}".rstrip("0").rstrip(".")
