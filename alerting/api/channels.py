"""Channels and deliveries: where notifications go, and what came of each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from ninja import Query, Router, Status

from alerting.choices import DeliveryState
from alerting.models import Channel, Delivery
from alerting.schemas.channels import (
    ChannelChange,
    ChannelGoneOut,
    ChannelIn,
    ChannelMadeOut,
    ChannelOut,
    ChannelSavedOut,
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryQuery,
    PauseIn,
)
from alerting.selectors.channels import (
    channel_find,
    channel_list,
    channel_meant,
    channel_state,
    delivery_find,
    delivery_list,
)
from alerting.selectors.told_alone import Alone, channel_alone, channels_alone
from alerting.services import channels
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import Invalid, NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["channels"])

_ONE: Final = "/alerts/channels/{uuid:channel_id}"
_SAME: Final = (
    "id", "kind", "name", "target", "send_resolved", "enabled", "failures", "failing_since",
    "paused_at", "paused_why", "created_at", "changed_at", "changed_by", "version",
)  # fmt: skip
_SAME_OF_DELIVERY: Final = (
    "id", "channel_id", "purpose", "state", "attempts", "created_at", "ended_at", "last_error",
)  # fmt: skip
_OPEN: Final = (DeliveryState.PENDING, DeliveryState.SENDING)


@router.get("/alerts/channels", auth=ApiAuth(Scope.READ), response=PageOut[ChannelOut])
def channel_rows(request: ApiRequest, query: Query[PageQuery]) -> Page:
    """All channels by name, without their secrets."""
    page = keyset_page(
        channel_list(), by=("name",), types=(str,), cursor=query.cursor, limit=query.limit
    )
    alone = channels_alone()
    return Page(
        [_shown(each, alone.get(each.pk, Alone())) for each in page.items], page.next_cursor
    )


@router.post("/alerts/channels", auth=ApiAuth(Scope.OPERATE), response={201: ChannelMadeOut})
def channel_post(
    request: ApiRequest, response: HttpResponse, body: ChannelIn
) -> Status[dict[str, Any]]:
    """Make a channel. A webhook without a `secret` is given one, which is answered this once."""
    given = sent(request, body)
    with of_body():
        made = channels.channel_create(given=given, actor=request.auth, now=datetime.now(UTC))
    set_version(response, made.channel.version)
    alone = channel_alone(made.channel.pk)
    return Status(
        201, {**_shown(made.channel, alone), **_proof(made), "secret": made.secret or None}
    )


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=ChannelOut)
def channel_one(request: ApiRequest, response: HttpResponse, channel_id: UUID) -> dict[str, Any]:
    """One channel; its ETag is the version that a write may name in `If-Match`."""
    return _found(response, channel_id)


@router.api_operation(["PUT", "PATCH"], _ONE, auth=ApiAuth(Scope.OPERATE), response=ChannelSavedOut)
def channel_put(
    request: ApiRequest, response: HttpResponse, channel_id: UUID, body: ChannelChange
) -> dict[str, Any]:
    """Change the fields that are sent. The former secret of a webhook signs beside a new one for
    24 hours."""
    changes = sent(request, body)
    with of_body():
        saved = channels.channel_update(
            channel_id=channel_id,
            changes=changes,
            if_match=if_match(request),
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return {**_found(response, channel_id), **_proof(saved)}


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={200: ChannelGoneOut, 204: None})
def channel_remove(request: ApiRequest, channel_id: UUID) -> Status[Any]:
    """Delete a channel; what was sent by it stays for the record. Where routes tell nobody without
    it (`only_channel_of`), it answers which and what that means."""
    alone = channels.channel_delete(
        channel_id=channel_id,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    if not alone.routes:
        return Status(204, None)
    return Status(200, {"only_channel_of": alone.routes, "warning": alone.text})


@router.post(f"{_ONE}/test", auth=ApiAuth(Scope.OPERATE), response=DeliveryDetailOut)
def channel_try(request: ApiRequest, channel_id: UUID) -> dict[str, Any]:
    """Send a test now and answer what came of it; one that arrives ends a pause."""
    delivery = channels.channel_test(
        channel_id=channel_id, actor=request.auth, now=datetime.now(UTC)
    )
    return _delivery(delivery.pk)


@router.post(f"{_ONE}/pause", auth=ApiAuth(Scope.OPERATE), response=ChannelOut)
def channel_hold(
    request: ApiRequest, response: HttpResponse, channel_id: UUID, body: PauseIn | None = None
) -> dict[str, Any]:
    """Send nothing more by it; what waits goes by its fallback."""
    with of_body():
        channels.channel_pause(
            channel_id=channel_id,
            reason=body.reason if body else "",
            if_match=if_match(request),
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return _found(response, channel_id)


@router.post(f"{_ONE}/resume", auth=ApiAuth(Scope.OPERATE), response=ChannelOut)
def channel_continue(
    request: ApiRequest, response: HttpResponse, channel_id: UUID
) -> dict[str, Any]:
    """Send by it again; what waits goes at once."""
    channels.channel_resume(
        channel_id=channel_id,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return _found(response, channel_id)


@router.post(f"{_ONE}/rotate", auth=ApiAuth(Scope.OPERATE), response=ChannelMadeOut)
def channel_secret(request: ApiRequest, response: HttpResponse, channel_id: UUID) -> dict[str, Any]:
    """Give a webhook a new secret, answered this once; the former one signs for 24 hours more."""
    made = channels.channel_rotate(channel_id=channel_id, actor=request.auth, now=datetime.now(UTC))
    return {**_found(response, channel_id), "secret": made.secret}


@router.get("/alerts/deliveries", auth=ApiAuth(Scope.READ), response=PageOut[DeliveryOut])
def deliveries(request: ApiRequest, query: Query[DeliveryQuery]) -> Page:
    """What was sent and is to be sent, the newest first; kept for 30 days."""
    channel = channel_meant(query.channel) if query.channel else None
    if query.channel and channel is None:
        told = f"There is no channel {query.channel[:100]!r}."
        raise Invalid.field("query.channel", told)
    page = keyset_page(
        delivery_list(channel_id=channel, state=query.state, purpose=query.purpose),
        by=("-created_at", "-id"),
        types=(datetime, UUID),
        cursor=query.cursor,
        limit=query.limit,
    )
    return Page([_delivery_shown(each) for each in page.items], page.next_cursor)


@router.get(
    "/alerts/deliveries/{uuid:delivery_id}", auth=ApiAuth(Scope.READ), response=DeliveryDetailOut
)
def delivery(request: ApiRequest, delivery_id: UUID) -> dict[str, Any]:
    """One delivery: its message and every attempt, with what was sent and answered."""
    return _delivery(delivery_id)


def _proof(saved: channels.Made) -> dict[str, Any]:
    return {"proven": saved.proof.proven, "proof": saved.proof.text}


def _found(response: HttpResponse, channel_id: UUID) -> dict[str, Any]:
    channel = channel_find(channel_id)
    if channel is None:
        raise NotFound(f"There is no channel {channel_id}.")
    set_version(response, channel.version)
    return _shown(channel, channel_alone(channel_id))


def _shown(channel: Channel, alone: Alone) -> dict[str, Any]:
    return {
        **{name: getattr(channel, name) for name in _SAME},
        "state": channel_state(channel),
        "fallback": channel.fallback.name if channel.fallback else None,
        "only_channel_of": alone.routes,
        "warning": "" if channel.enabled else alone.text,
    }


def _delivery(delivery_id: UUID) -> dict[str, Any]:
    found = delivery_find(delivery_id)
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    return {**_delivery_shown(found), "message": found.message, "tries": list(found.tries.all())}


def _delivery_shown(delivery: Delivery) -> dict[str, Any]:
    return {
        **{name: getattr(delivery, name) for name in _SAME_OF_DELIVERY},
        "channel": delivery.channel_name,
        "title": delivery.message.get("title", ""),
        "next_at": delivery.next_at if delivery.state in _OPEN else None,
        "fallback_of": delivery.fallback_of_id,
    }
