"""Whether a receiver takes the secrets of a channel, found out before the channel is saved."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerting.channels import Envelope, Kind, Outcome
from alerting.choices import AttemptOutcome, Purpose
from alerting.domain.messages import Message
from alerting.services.sending.attempts import masked, secrets_of, within_deadline
from health.checks.addresses import Addresses
from resilience_site.config import config
from resilience_site.core.problems import Invalid


def secrets_prove(
    kind: Kind[Any], whole: Mapping[str, Any], *, name: str, test: Message | None, now: datetime
) -> None:
    """Raise `Invalid` where the receiver refuses the whole target of a channel for good.

    By what tells nobody, such as a login; where a kind has no such way, by sending `test`, or not
    at all. A receiver that cannot be asked now refuses nothing: it may be there tomorrow.
    """
    outcome = asyncio.run(_proof(kind, whole, name, test, now))
    if outcome is not None and outcome.verdict == AttemptOutcome.PERMANENT:
        raise Invalid.field("target", f"It was tried before it was saved: {outcome.error}.")


async def _proof(
    kind: Kind[Any], whole: Mapping[str, Any], name: str, test: Message | None, now: datetime
) -> Outcome | None:
    options = kind.parse(whole)
    addresses = Addresses(allow_private=config.resilience_allow_private_targets)
    found = await within_deadline(kind.prove(options, addresses), name)
    if found is None and test is not None:
        envelope = Envelope(uuid.uuid4(), test, Purpose.TEST, name, now, now)
        found = await within_deadline(kind.send(options, envelope, addresses), name)
    return None if found is None else masked(found, secrets_of(kind, whole))
