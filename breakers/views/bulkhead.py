"""One bulkhead: how full it is, what the site gives it, and who works by that."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from breakers.choices import PolicySubject
from breakers.domain.policy import BULKHEADS
from breakers.models import Bulkhead
from breakers.selectors.applied import AppliedBy
from breakers.selectors.bulkhead_view import BulkheadView, bulkhead_get
from breakers.selectors.names import bulkhead_locate
from breakers.selectors.policies import policy_list
from breakers.views.common import is_partial, may_operate, topic
from breakers.views.settings import policy_panel
from breakers.views.tiles import applied_text
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import NotFound
from resilience_site.core.screens import bad_question

_HISTORY_SHOWN = 10
# Why one may work by another number than the site gives.
KEEPS = (
    "An argument in the service's own code is stronger than the site, and a limit that adapts by "
    "itself, or that a breach has shrunk, stays below it: "
)


def bulkhead_or_404(place: str) -> BulkheadView:
    """The bulkhead of a path: its service and its name."""
    try:
        return _bulkhead(place)
    except NotFound as problem:
        raise Http404(problem.detail) from None


def _bulkhead(place: str) -> BulkheadView:
    """The same; raises `NotFound` where the path means two."""
    try:
        return bulkhead_get(*bulkhead_locate(place), datetime.now(UTC))
    except Bulkhead.DoesNotExist:
        raise Http404("There is no such bulkhead.") from None


@require_GET
@require_role(Role.VIEWER)
def bulkhead_detail(request: HttpRequest, place: str) -> HttpResponse:
    """Everything about one bulkhead."""
    cursor = journal.latest_cursor()
    try:
        view = _bulkhead(place)
    except NotFound as problem:
        return bad_question(request, problem)
    changes = policy_list(
        service=view.service,
        name=view.name,
        subject=PolicySubject.BULKHEAD,
        limit=_HISTORY_SHOWN,
    ).items
    context = {
        "live_cursor": cursor,
        "bulkhead": view,
        "topics": f"{topic('bulkheads', view.service)} {topic('control', view.service)}",
        "may_operate": may_operate(request),
        "instances": [(each, _words(view, applied)) for each, applied in view.rows],
        "applied_note": _note(view),
        "keeps": KEEPS,
        "kept_word": "differs",
        "rollback_src": reverse("bulkhead-policy-rollback", args=[place]),
        **policy_panel(view, changes[0].policy if changes else {}, changes, BULKHEADS),
    }
    part = "_bulkhead" if is_partial(request) else "bulkhead"
    return render(request, f"breakers/{part}.html", context)


def _words(view: BulkheadView, applied: AppliedBy | None) -> str:
    """Which control document an instance works by."""
    if applied is None or applied.version is None:
        return "never asked for it"
    if not view.version:
        return "nothing is decided"
    if applied.current:
        return f"version {view.version} applied"
    return f"version {applied.version}, not yet {view.version}"


def _note(view: BulkheadView) -> str:
    silent = sum(each.silent for each in view.instances)
    apart = f", {silent} silent" if silent else ""
    done = [at is not None for at in view.acknowledged]
    if not view.version:
        return f"{len(done)} report{apart}"
    return f"version {view.version} {applied_text(sum(done), len(done))}{apart}"
