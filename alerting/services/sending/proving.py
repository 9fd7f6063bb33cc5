"""Whether a receiver takes the secrets of a channel, found out before the channel is saved."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from alerting.channels import Envelope, Kind, Outcome
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
_NO_WAY: Final = Proof(
    False,
    "It could not be proven: nothing asks its receiver that tells nobody. Press Test to see it arrive.",
)
_TAKEN: Final = Proof(True, "Its receiver takes it; nobody was told.")
_TESTED: Final = Proof(True, "A test was sent by it, and taken.")


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
    found, proof = await within_deadline(kind.prove(options, addresses), name), _TAKEN
    if found is None and test is not None:
        envelope = Envelope(uuid.uuid4(), test, Purpose.TEST, name, now, now)
        found, proof = await within_deadline(kind.send(options, envelope, addresses), name), _TESTED
    if found is None:
        return _NO_WAY
    outcome = masked(found, secrets_of(kind, whole))
    if outcome.verdict == AttemptOutcome.PERMANENT:
        raise Invalid.field("target", f"It was tried before it was saved: {outcome.error}.")
    return proof if outcome.verdict == AttemptOutcome.DELIVERED else _unasked(outcome)


def _unasked(outcome: Outcome) -> Proof:
    return Proof(
        False,
        f"It could not be proven, as its receiver cannot be asked now: {outcome.error}. "
        "Press Test once it can be.",
    )
