"""Forms that act: as the body of a dialog or as a page, what they hold, how they explain a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from breakers.choices import AUTO
from breakers.models import Breaker
from breakers.selectors.breaker_view import BreakerView
from breakers.selectors.breakers import breaker_get
from breakers.selectors.domains import DomainView
from breakers.selectors.policies import policy_latest
from breakers.services.commands import RESET_STATE
from breakers.services.requests import longest_seconds
from breakers.views.common import back_to, reason_given
from resilience_site.core.badges import badge_for
from resilience_site.core.formatting import duration, exact
from resilience_site.core.permissions import role_of
from resilience_site.core.problems import Conflict, Invalid, Problem
from resilience_site.core.screens import form_answer

MIN_REASON = 3
ALL = "all instances"
EXPIRIES = ((900, "15 min"), (3_600, "1 h"), (14_400, "4 h"), (86_400, "24 h"))
METHODS = ["GET", "HEAD", "POST"]


def breaker_or_404(key: str) -> BreakerView:
    """The breaker of a path."""
    try:
        return breaker_get(key)
    except Breaker.DoesNotExist:
        raise Http404("There is no such breaker.") from None


def breaker_form(
    request: HttpRequest, form: str, view: BreakerView, problem: Problem | None, **more: Any
) -> HttpResponse:
    """A form about a breaker; what it makes of a refusal tells both sides of a conflict."""
    # The version is that of everything that the service is told.
    more |= {"breaker": view, "last_change": None}
    if isinstance(problem, Conflict):
        more |= {"standing": standing(view), "asked": asked(problem)}
    if isinstance(problem, Conflict) and "domain" in problem.current:
        more["standing"] = domain_standing(problem)
    return form_page(request, form, problem, reverse("breaker", args=[view.key]), **more)


def domain_form(
    request: HttpRequest, form: str, domain: DomainView, problem: Problem | None, **more: Any
) -> HttpResponse:
    """A form about a failure domain; what it makes of a refusal tells both sides of a conflict."""
    more["last_change"] = None
    if isinstance(problem, Conflict):
        more |= {"standing": domain_standing(problem), "asked": asked(problem)}
    more["blast_src"] = f"{reverse('blast-radius-domain')}?{urlencode({'domain': domain.name})}"
    return form_page(request, form, problem, reverse("domains"), domain=domain, **more)


def form_page(
    request: HttpRequest, form: str, problem: Problem | None, home: str, **more: Any
) -> HttpResponse:
    """A form as the body of a dialog, or as a page of its own: without scripts, or after a
    refusal, which it explains. `home` is where it leads if it came from nowhere."""
    context = {
        "form": f"breakers/_{form}_form.html",
        "next": back_to(request, home),
        "min_reason": MIN_REASON,
        "reason": reason_given(request),
        **more,
    }
    return form_answer(request, context, problem)


def standing(view: BreakerView) -> dict[str, str]:
    """What holds for a breaker now, for whoever asked for something else."""
    change = policy_latest(view.service, view.name)
    said = {
        "Version": str(view.version or 0),
        "Settings": _settings(change.policy if change else {}),
    }
    override = view.override
    if override is None:
        return {**said, "Override": "none"}
    place = f"domain {override.domain}" if override.domain else override.instance
    until = exact(override.expires_at) if override.expires_at else "without an end"
    words = state_word(override.state)
    return {**said, "Override": words, "For": place or ALL, "Reason": override.reason,
            "By": override.actor, "Until": until}  # fmt: skip


def domain_standing(problem: Conflict) -> dict[str, str]:
    """What holds for a failure domain now, as the refusal tells it."""
    current = problem.current
    services: Mapping[str, Any] = current["services"]
    told = [
        f"{name} of {service}: {state_word(entry['override']['state']).lower()}"
        for service, side in services.items()
        for name, entry in side["breakers"].items()
        if entry and entry.get("override")
    ]
    said = {
        "Failure domain": current["domain"],
        "Versions": ", ".join(f"{name} {side['version']}" for name, side in services.items()),
        "Its breakers": ", ".join(told) or "none is overridden as a whole",
    }
    override = current["override"]
    if override is None:
        return {**said, "Override": "none"}
    until = override["expires_at"]
    return {**said, "Override": state_word(override["state"]), "Reason": override["reason"],
            "By": override["actor"],
            "Until": exact(datetime.fromisoformat(until)) if until else "without an end"}  # fmt: skip


def asked(problem: Conflict) -> dict[str, str]:
    """What was asked for, as the refusal tells it."""
    said = {}
    domain = problem.current.get("domain")
    everywhere = f"the failure domain {domain}" if domain else ALL
    for name, value in problem.proposed.items():
        if name == "state" and value == RESET_STATE:
            said["Asked for"] = "a reset"
        elif name == "state":
            said["Override"] = "none" if value == AUTO else state_word(value)
        elif name == "policy":
            said["Settings"] = _settings(value)
        elif name == "instance":
            said["For"] = value or everywhere
        elif value is not None:
            text = exact(value) if isinstance(value, datetime) else str(value)
            said[name.replace("_", " ").capitalize()] = text
    return said


def _settings(policy: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in policy.items()) or "none of the site's"


def state_word(state: str) -> str:
    return badge_for("breaker", state).word


def expiries(request: HttpRequest) -> list[tuple[int, str]]:
    """What the form offers: what this person's role may set."""
    longest = longest_seconds(role_of(request.user))
    allowed = [(seconds, label) for seconds, label in EXPIRIES if seconds <= longest]
    return allowed or [(longest, duration(longest))]


def expiry_given(request: HttpRequest) -> int | None:
    """The seconds in a form; None where there is no number."""
    text = request.POST.get("expires_in", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def version_given(request: HttpRequest, domain: str = "") -> int | None:
    """The version that the form was made from: of the control document, or of a failure domain
    that a breaker's form offers."""
    text = request.POST.get(f"version-{domain}" if domain else "version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def check_reason(reason: str) -> None:
    """Raise `Invalid` for one that says nothing."""
    if len(reason) < MIN_REASON:
        raise Invalid.field("body.reason", f"Say why, in {MIN_REASON} characters or more.")
