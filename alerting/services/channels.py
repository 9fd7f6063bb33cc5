"""What people do with channels: make, change, delete, test, pause, resume, change a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from alerting.channels import Kind
from alerting.channels.webhook.signing import secret_new
from alerting.choices import ChannelKind, DeliveryState, Purpose
from alerting.domain.messages import Message
from alerting.models import Channel, Delivery
from alerting.selectors.told_alone import Alone, channel_alone
from alerting.services.channel_fields import (
    MUTABLE,
    changes_read,
    fields_read,
    shown,
    verify_read,
)
from alerting.services.dispatch.waking import channel_mended
from alerting.services.locks import names_lock
from alerting.services.outbox import delivery_enqueue
from alerting.services.sending.entries import channel_entry
from alerting.services.sending.pausing import channel_moved, channel_recover
from alerting.services.sending.proving import UNTRIED, Proof, secrets_prove
from alerting.services.sending.turn import delivery_send_now
from alerting.services.targets import (
    Target,
    kind_required,
    target_masked,
    target_opened,
    target_read,
)
from health.services.check_fields import text_read
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.formatting import printable
from resilience_site.core.links import absolute
from resilience_site.core.problems import Conflict, Invalid, NotFound
from resilience_site.core.sealing import UnsealError

_OBJECT: Final = "channel"
# How long both secrets of a webhook sign, so that its receiver can change over.
BOTH_SIGN: Final = timedelta(hours=24)
MOST_CHANNELS: Final = 200


@dataclass(frozen=True)
class Made:
    """A channel as it is saved, what is known of its secrets, and a secret that the site made for
    it: shown this once, or empty."""

    channel: Channel
    secret: str = ""
    proof: Proof = UNTRIED


def channel_create(*, given: Mapping[str, Any], actor: Actor, now: datetime) -> Made:
    """Make a channel of `kind`, `name`, `target` and the other fields of a channel.

    Its secrets are tried first where that tells nobody (a mail server's login, an empty message to
    Slack); with `verify` true in other kinds by a test, with false not at all. Raises `Invalid`, which names the field
    (`target.OPTION` for an option), also for what the receiver refuses for good.
    """
    name = printable(str(given.get("name", ""))[:100])
    with _refusals(actor, "create", name):
        given, verify = verify_read(given)
        kind = kind_required(given.get("kind"))
        fields_read(given, None)
        target = target_read(kind, given.get("target"))
        proof = _prove(kind, target, name, verify, actor, now)
        return replace(_made(kind, given, target, actor, now), proof=proof)


def _made(
    kind: Kind[Any], given: Mapping[str, Any], target: Target, actor: Actor, now: datetime
) -> Made:
    with transaction.atomic():
        names_lock(Channel)
        if Channel.objects.count() >= MOST_CHANNELS:
            raise Invalid(f"There are {MOST_CHANNELS} channels already, the most there may be.")
        fields = fields_read(given, None)
        channel = Channel.objects.create(
            kind=kind.name,
            target=target.shown,
            sealed=target.sealed,
            created_at=now,
            changed_at=now,
            changed_by=actor.name,
            **fields,
        )
        _record(channel, "create", actor, None)
    asked = given.get("target")
    own = isinstance(asked, Mapping) and asked.get("secret")
    return Made(channel, "" if own else str(target.whole.get("secret") or ""))


def channel_update(
    *,
    channel_id: UUID,
    changes: Mapping[str, Any],
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Made:
    """Change fields of a channel; of its target, secrets that come masked stay. The former secret
    of a webhook signs beside a new one for a day. A target that changes is tried as in
    `channel_create`. Raises `NotFound`, `Conflict`, `Invalid`."""
    with _refusals(actor, "update", channel_id):
        changes, verify = verify_read(changes)
        proof = UNTRIED
        if "target" in changes and verify is not False:
            proof = _prove_changed(channel_id, changes["target"], verify, actor, now)
        made = Made(_updated(channel_id, changes, if_match, actor, now), proof=proof)
    # What is changed may have mended it.
    channel_mended(channel_id=channel_id)
    return made


def _updated(
    channel_id: UUID,
    changes: Mapping[str, Any],
    if_match: int | None,
    actor: Actor,
    now: datetime,
) -> Channel:
    with transaction.atomic():
        if "name" in changes:
            names_lock(Channel)
        channel = _locked(channel_id, if_match, changes)
        before = shown(channel)
        fields = changes_read(changes, channel)
        if "target" in changes:
            target = _target_changed(channel, changes["target"], now)
            if _is_another(channel, target):
                channel_moved(channel, now)
            channel.target, channel.sealed = target.shown, target.sealed
        for name, value in fields.items():
            setattr(channel, name, value)
        _save(channel, actor, now)
        _record(channel, "update", actor, before)
    return channel


def channel_delete(
    *, channel_id: UUID, if_match: int | None = None, actor: Actor, now: datetime
) -> Alone:
    """Delete a channel; what was sent by it stays for the record, what waits for it fails. Gives
    the routes that tell nobody from now on. Raises `NotFound` and `Conflict`."""
    with _refusals(actor, "delete", channel_id), transaction.atomic():
        channel = _locked(channel_id, if_match, {})
        alone = channel_alone(channel_id)
        audit_record(
            actor=actor, action="channel.delete", object_type=_OBJECT, object_id=channel.pk,
            before=shown(channel),
        )  # fmt: skip
        entry = channel_entry("channel.deleted", channel, by=actor.name)
        channel.delete()
        journal.append([entry])
    return alone


def channel_pause(
    *,
    channel_id: UUID,
    reason: Any = "",
    if_match: int | None = None,
    actor: Actor,
    now: datetime,
) -> Channel:
    """Send nothing more by a channel until it is resumed or a test arrives: what waits for it waits
    on, where it has no fallback. Raises `NotFound`, `Conflict`, and `Invalid` where it is paused
    already."""
    with _refusals(actor, "pause", channel_id), transaction.atomic():
        said = text_read("reason", reason, 300)
        channel = _locked(channel_id, if_match, {"paused": True})
        if channel.paused_at is not None:
            raise Invalid("The channel is paused already.")
        before = shown(channel)
        # It is paused by a person, not as it failed: nobody has to mend it.
        channel.failures, channel.failing_since = 0, None
        channel.paused_at = now
        channel.paused_why = f"{actor.name} paused it" + (f": {said}" if said else "")
        _save(channel, actor, now)
        _record(channel, "pause", actor, before, kind="channel.paused", reason=said)
    return channel


def channel_resume(
    *, channel_id: UUID, if_match: int | None = None, actor: Actor, now: datetime
) -> Channel:
    """Send by a channel again: what waits for it goes at once, and what never reached it and still
    fires is told it. Raises `NotFound` and `Conflict`."""
    with _refusals(actor, "resume", channel_id), transaction.atomic():
        channel = _locked(channel_id, if_match, {"paused": False})
        before = shown(channel)
        channel_recover(channel, now)
        _save(channel, actor, now)
        _record(channel, "resume", actor, before, kind="channel.resumed")
    channel_mended(channel_id=channel_id)
    return channel


def channel_rotate(*, channel_id: UUID, actor: Actor, now: datetime) -> Made:
    """Give a webhook a new secret; the former one signs beside it for a day. Raises `NotFound`,
    and `Invalid` for other kinds."""
    with _refusals(actor, "rotate", channel_id), transaction.atomic():
        channel = _locked(channel_id, None, {})
        if channel.kind != ChannelKind.WEBHOOK:
            raise Invalid("Only webhooks have a secret that can be changed so.")
        secret = secret_new()
        target = _target_changed(channel, {**channel.target, "secret": secret}, now)
        before = shown(channel)
        channel.target, channel.sealed = target.shown, target.sealed
        _save(channel, actor, now)
        _record(channel, "rotate", actor, before)
    return Made(channel, secret)


def channel_test(*, channel_id: UUID, actor: Actor, now: datetime) -> Delivery:
    """Send a test by a channel, whatever its state, and wait for what comes of it; one that
    arrives makes a paused channel work again. Raises `NotFound`."""
    with _refusals(actor, "test", channel_id), transaction.atomic():
        channel = _locked(channel_id, None, {})
        delivery = delivery_enqueue(
            channel=channel,
            message=_test_message(channel.name, actor, f"/alerts/channels/{channel.pk}"),
            purpose=Purpose.TEST,
            now=now,
        )
        audit_record(
            actor=actor, action="channel.test", object_type=_OBJECT, object_id=channel.pk,
            after={"delivery": str(delivery.pk)},
        )  # fmt: skip
    delivery_send_now(delivery_id=delivery.pk, now=now)
    delivery.refresh_from_db()
    if delivery.state == DeliveryState.DELIVERED:
        channel_mended(channel_id=channel_id)
    return delivery


def _test_message(name: str, actor: Actor, path: str) -> Message:
    return Message(
        title=f"Test of the channel {name}",
        text=f"{actor.name} tests this channel. Nothing has happened, and nothing is to be done.",
        severity="info",
        url=absolute(path),
    )


def _prove(
    kind: Kind[Any], target: Target, name: str, verify: bool | None, actor: Actor, now: datetime
) -> Proof:
    """Try a target outside of a transaction: a receiver may take its time."""
    if verify is False:
        return UNTRIED
    test = _test_message(name, actor, "/alerts/channels") if verify else None
    return secrets_prove(kind, target.whole, name=name, test=test, now=now)


def _prove_changed(
    channel_id: UUID, given: Any, verify: bool | None, actor: Actor, now: datetime
) -> Proof:
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        return UNTRIED
    target = _target_changed(channel, given, now)
    if not _is_another(channel, target):
        return UNTRIED
    return _prove(kind_required(channel.kind), target, channel.name, verify, actor, now)


def _is_another(channel: Channel, target: Target) -> bool:
    """Whether a target is not the one that a channel has."""
    try:
        return target.whole != target_opened(channel)
    except UnsealError:
        return True


def _target_changed(channel: Channel, given: Any, now: datetime) -> Target:
    """The new target of a channel; while a webhook's secret changes, the former one signs too."""
    kind = kind_required(channel.kind)
    try:
        former = target_opened(channel)
    except UnsealError:
        # Sealed with another key: every secret has to be entered again.
        former = {}
    target = target_read(kind, given, former)
    secret = former.get("secret")
    if channel.kind != ChannelKind.WEBHOOK or not secret or target.whole["secret"] == secret:
        return target
    until = (now + BOTH_SIGN).isoformat()
    both = {**target.whole, "previous_secret": secret, "previous_until": until}
    return target_read(kind, both, former)


def _locked(channel_id: UUID, if_match: int | None, wanted: Mapping[str, Any]) -> Channel:
    channel = Channel.objects.select_for_update(no_key=True).filter(pk=channel_id).first()
    if channel is None:
        raise NotFound(f"There is no channel {channel_id}.")
    if if_match is not None and if_match != channel.version:
        proposed = {name: wanted[name] for name in sorted(set(wanted) & MUTABLE)}
        if "target" in proposed:
            proposed["target"] = target_masked(kind_required(channel.kind), proposed["target"])
        raise Conflict(
            f"{channel.name} was changed by {channel.changed_by or 'the site'} in the meantime.",
            current=shown(channel),
            proposed=proposed,
        )
    return channel


def _save(channel: Channel, actor: Actor, now: datetime) -> None:
    channel.version += 1
    channel.changed_at, channel.changed_by = now, actor.name
    channel.save()


def _record(
    channel: Channel,
    act: str,
    actor: Actor,
    before: Mapping[str, Any] | None,
    *,
    kind: str = "channel.changed",
    reason: str = "",
) -> None:
    """The audit trail and the journal, in the change's own transaction."""
    audit_record(
        actor=actor, action=f"channel.{act}", object_type=_OBJECT, object_id=channel.pk,
        reason=reason, before=before, after=shown(channel),
    )  # fmt: skip
    journal.append([channel_entry(kind, channel, by=actor.name)])


def _refusals(actor: Actor, act: str, object_id: object) -> Any:
    return refusals_audited(
        actor=actor, action=f"channel.{act}", object_type=_OBJECT, object_id=object_id
    )
