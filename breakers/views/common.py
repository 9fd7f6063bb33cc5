"""What the screens share beside `core.screens`: the guard of what acts, what an empty one teaches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from breakers.models import Breaker
from resilience_site.core.choices import Scope
from resilience_site.core.screens import (
    acting_only,
    back_to,
    bad_question,
    is_partial,
    may_operate,
    reason_given,
    topic,
)
from resilience_site.core.selectors import api_keys

__all__ = [
    "back_to",
    "bad_question",
    "breaker_topics",
    "first_steps",
    "is_partial",
    "may_operate",
    "operators_only",
    "reason_given",
    "topic",
]


def operators_only(
    action: str, object_type: str = "breaker"
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponseBase]]:
    """Guard a page that acts. Whoever only may look gets 403, and trying stands in the audit
    trail, as does what the form itself refuses; the first argument of the path names the object.
    """

    return acting_only(action, object_type, functools.partial(_object_id, object_type))


def _object_id(object_type: str, given: str) -> str:
    """How the audit trail names it: breakers are named there, not keyed."""
    if object_type != "breaker":
        return given
    place = Breaker.objects.filter(key=given).values_list("service", "name").first()
    return "/".join(place) if place else given


def first_steps(rows: object) -> dict[str, Any]:
    """What an empty screen teaches: whether any breaker ever reported, and the key to connect
    with."""
    if rows or Breaker.objects.exists():
        return {"connected": True}
    usable = api_keys().filter(scope=Scope.INGEST, revoked_at=None).order_by("pk")
    return {"connected": False, "ingest_key": usable.values_list("name", flat=True).first() or ""}


def breaker_topics(service: str, key: str) -> str:
    """What the parts of a breaker's page listen to."""
    wanted = (("breakers", key), ("calls", service), ("control", service))
    return " ".join(topic(name, of) for name, of in wanted)
