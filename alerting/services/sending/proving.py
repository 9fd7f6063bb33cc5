"""Whether a receiver takes the secrets of a channel, found out before the channel is saved."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from alerting.channels import Envelope, Kind, Outcome
from alerting.channels.base import Unclear
from alerting.choices import AttemptOutcome, Purpose
from alerting.domain.messages import Message
from alerting.services.sending.attempts import masked, secrets_of, within_deadline
from health.checks.addresses import Addresses
from resilience_site.config import config
from resilience_site.core.problems import Invalid


@dataclass(frozen=True)
class Proof:
    """What is known of the secrets of a channel that is saved: `proven` where its receiver took
    them, None where nobody asked; `text` says it in words."""

    proven: bool | None = None
    text: str = ""


UNTRIED: Final = Proof()
_PRESS: Final = "Press Test to see it arrive."


def secrets_prove(
    kind: Kind[Any], whole: Mapping[str, Any], *, name: str, test: Message | None, now: datetime
) -> Proof:
    """Raise `Invalid` where the receiver refuses the whole target of a channel for good.

    By what tells nobody, such as a login; where a kind has no such way, or it says nothing, by
    sending `test`, or not at all. A receiver that cannot be asked now refuses nothing: it may be
    there tomorrow.
    """
    return asyncio.run(_proof(kind, whole, name, test, now))


async def _proof(
    kind: Kind[Any], whole: Mapping[str, Any], name: str, test: Message | None, now: datetime
) -> Proof:
    options = kind.parse(whole)
    addresses = Addresses(allow_private=config.resilience_allow_private_targets)
    secrets = secrets_of(kind, whole)
    asked = await within_deadline(kind.prove(options, addresses), name)
    if isinstance(asked, Outcome):
        taken = f"Its receiver takes it; nobody was told: it was tried by {kind.asked_by}."
        away = "It could not be proven, as its receiver cannot be asked now"
        return _judged(masked(asked, secrets), taken, away)
    if test is None:
        return Proof(False, _unproven(kind, asked, secrets))
    envelope = Envelope(uuid.uuid4(), test, Purpose.TEST, name, now, now)
    sent = await within_deadline(kind.send(options, envelope, addresses), name)
    away = "It could not be proven: a test was sent by it, which its receiver cannot take now"
    return _judged(masked(sent, secrets), "A test was sent by it, and taken.", away)


def _judged(outcome: Outcome, taken: str, away: str) -> Proof:
    """What follows from an answer; `taken` and `away` say that it is so, or cannot be known now."""
    if outcome.verdict == AttemptOutcome.PERMANENT:
        raise Invalid.field("target", f"It was tried before it was saved: {outcome.error}.")
    if outcome.verdict == AttemptOutcome.DELIVERED:
        return Proof(True, taken)
    return Proof(False, f"{away}: {outcome.error}. Press Test once it can be.")


def _unproven(kind: Kind[Any], asked: Unclear | None, secrets: frozenset[str]) -> str:
    """What was done to prove a channel, to no avail."""
    if asked is None:
        return f"It could not be proven: {kind.unasked}. {_PRESS}"
    said = masked(Outcome(AttemptOutcome.RETRY, error=asked.said), secrets).error
    return (
        f"It could not be proven: it was tried by {kind.asked_by}, which tells nobody, and what its "
        f"receiver said shows nothing. {said}. {_PRESS}"
    )
