"""What the health screens share: paths that may not be there yet, and what an empty one teaches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest
from django.urls import NoReverseMatch, reverse

from health.checks import KINDS
from health.models import Check
from health.selectors.checks import check_get
from resilience_site.core.choices import Scope
from resilience_site.core.selectors import api_keys
from resilience_site.core.timerange import TimeRange, parse_range

# What the range picker says without a choice.
DEFAULT_RANGE: Final = timedelta(hours=1)


def path_of(name: str, *args: object) -> str:
    """The path of a page, empty where it is not installed."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def kind_label(check: Check) -> str:
    """What people call its kind."""
    kind = KINDS.get(check.kind)
    return kind.label if kind else check.kind


def check_or_404(check_id: UUID) -> Check:
    """The check of a path."""
    try:
        return check_get(check_id)
    except Check.DoesNotExist:
        raise Http404("There is no such check.") from None


def chosen_range(request: HttpRequest, now: datetime) -> TimeRange:
    """The range of the page's address. Raises `Problem` for a text that is no time."""
    return parse_range(
        request.GET.get("since"), request.GET.get("until"), now=now, default=DEFAULT_RANGE
    )


def first_check() -> dict[str, Any]:
    """What a site without checks teaches: the name of a key that may create one."""
    usable = api_keys().filter(scope__in=[Scope.OPERATE, Scope.ADMIN], revoked_at=None)
    return {"operator_key": usable.order_by("pk").values_list("name", flat=True).first() or ""}
