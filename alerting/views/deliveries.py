"""Deliveries: what was sent and is to be sent, and every attempt of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alerting.choices import DeliveryState, Purpose
from alerting.models import DeliveryAttempt
from alerting.selectors.channels import channel_list, delivery_find, delivery_list
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.pagination import keyset_page
from resilience_site.core.permissions import require_role
from resilience_site.core.problems import Invalid, Problem
from resilience_site.core.screens import bad_question, is_partial

_PAGE: Final = 50
_STATES: Final = (("open", "Waiting or being sent"), *DeliveryState.choices)


@require_GET
@require_role(Role.VIEWER)
def deliveries(request: HttpRequest) -> HttpResponse:
    """Deliveries, the newest first, by channel, state and purpose."""
    cursor = journal.latest_cursor()
    asked = {name: request.GET.get(name, "") for name in ("channel", "state", "purpose")}
    try:
        page = keyset_page(
            delivery_list(
                channel_id=_channel(asked["channel"]),
                state=_known(asked["state"], "state", dict(_STATES)),
                purpose=_known(asked["purpose"], "purpose", dict(Purpose.choices)),
            ),
            by=("-created_at", "-id"),
            types=(datetime, UUID),
            cursor=request.GET.get("cursor"),
            limit=_PAGE,
        )
    except Problem as problem:
        return bad_question(request, problem)
    context: dict[str, Any] = {
        "live_cursor": cursor,
        "tab": "deliveries",
        "page": page,
        "asked": asked,
        "filtered": any(asked.values()),
        "channels": [(str(each.pk), each.name) for each in channel_list()],
        "states": _STATES,
        "purposes": Purpose.choices,
    }
    part = "_list" if is_partial(request) else "list"
    return render(request, f"alerting/deliveries/{part}.html", context)


@require_GET
@require_role(Role.VIEWER)
def delivery(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """One delivery: its message, and each attempt with what was sent and answered."""
    cursor = journal.latest_cursor()
    found = delivery_find(delivery_id)
    if found is None:
        raise Http404("There is no such delivery.")
    tries = [
        (each, _request_pairs(each), each.request.get("body", "")) for each in found.tries.all()
    ]
    context = {
        "live_cursor": cursor,
        "delivery": found,
        "message": found.message,
        "tries": tries,
        "lost": found.attempts - len(tries) - (found.state == DeliveryState.SENDING),
        "fallbacks": list(found.fallbacks.all()),
    }
    part = "_detail" if is_partial(request) else "detail"
    return render(request, f"alerting/deliveries/{part}.html", context)


def _request_pairs(attempt: DeliveryAttempt) -> list[tuple[str, str]]:
    """What was sent beside the body; headers one by one."""
    pairs: list[tuple[str, str]] = []
    for name, value in attempt.request.items():
        if isinstance(value, dict):
            pairs += [(key, str(each)) for key, each in value.items()]
        elif name != "body":
            pairs.append((name.replace("_", " ").capitalize(), str(value)))
    return pairs


def _channel(text: str) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise Invalid.field("query.channel", "channel must be the id of a channel.") from None


def _known(text: str, name: str, known: dict[str, str]) -> str:
    if text and text not in known:
        raise Invalid.field(f"query.{name}", f"{name} must be one of {', '.join(known)}.")
    return text
