"""Single attempts: the channel's secrets opened, the message sent, all texts masked and bounded."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from yarl import URL

from alerting.channels import Envelope, Kind, Outcome, kind_named
from alerting.channels.base import ATTEMPT_SECONDS
from alerting.choices import AttemptOutcome, Purpose
from alerting.domain.messages import Message
from alerting.services.sending.claims import Claim
from alerting.services.targets import target_opened
from health.checks.addresses import Addresses
from health.checks.options import OptionError
from health.checks.words import one_line, without
from health.services.masks import secret_texts
from health.services.storable import text_storable
from resilience_site.config import config
from resilience_site.core.sealing import UnsealError

logger = logging.getLogger(__name__)
_Found = TypeVar("_Found")

# Characters of what was sent and answered that are kept.
MOST_REQUEST: Final = 20_000
MOST_ANSWER: Final = 4_000
_MOST_ERROR: Final = 500
# Characters from which on the path of a secret URL, and a part of it, are secret by themselves.
_SHORTEST_PATH: Final = 8
_TOKEN: Final = re.compile(r"[^/?&=#@:,]{16,}")
# A kind ends its attempt by itself, and can say more then.
_GRACE_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Attempted:
    """`seconds` that the attempt took."""

    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class _Ready:
    kind: Kind[Any]
    options: Any
    secrets: frozenset[str]


async def attempt(claim: Claim, at: datetime) -> Attempted:
    """Send a claimed delivery once; `at` is the time of the attempt."""
    began = time.monotonic()
    ready = _ready(claim)
    if isinstance(ready, Outcome):
        return Attempted(ready, 0.0)
    outcome = masked(await _sent(ready, claim, at), ready.secrets)
    return Attempted(outcome, time.monotonic() - began)


async def _sent(ready: _Ready, claim: Claim, at: datetime) -> Outcome:
    async def sending() -> Outcome:
        # A message that cannot be read is a fault of this delivery alone.
        envelope = _envelope(claim, at)
        addresses = Addresses(allow_private=config.resilience_allow_private_targets)
        return await ready.kind.send(ready.options, envelope, addresses)

    return await within_deadline(sending(), f"delivery {claim.delivery.pk}")


async def within_deadline(trying: Awaitable[_Found], name: str) -> _Found | Outcome:
    """What comes of an attempt of a kind, `name` for the log, whatever the kind does wrong."""
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS + _GRACE_SECONDS):
            return await trying
    except TimeoutError:
        return Outcome(AttemptOutcome.RETRY, error=f"It took longer than {ATTEMPT_SECONDS:g} s")
    except Exception as error:
        # One channel's fault must not keep the others from being sent.
        logger.exception("It could not be tried: %s", name)
        return Outcome(
            AttemptOutcome.RETRY, error=f"This site could not try it: {type(error).__name__}"
        )


def _ready(claim: Claim) -> _Ready | Outcome:
    """What sends it, or why nothing can."""
    channel = claim.delivery.channel
    if channel is None:
        return _refused("The channel was deleted")
    kind = kind_named(channel.kind)
    if kind is None:
        return _refused(f"There is no kind of channel {channel.kind!r}")
    if kind.missing():
        return _refused(kind.missing())
    try:
        whole = target_opened(channel)
        return _Ready(kind, kind.parse(whole), secrets_of(kind, whole))
    except UnsealError as error:
        return _refused(f"Its secrets cannot be read: {error}")
    except OptionError as error:
        return _refused(f"{error.option} {error.message}")


def secrets_of(kind: Kind[Any], whole: Mapping[str, Any]) -> frozenset[str]:
    """All texts that give away a secret of a whole target."""
    secrets = secret_texts(kind, whole)
    return secrets | frozenset(_spellings(secrets))


def _spellings(secrets: Iterable[str]) -> Iterator[str]:
    """What else gives away a URL that is secret as a whole: how the client writes it (without the
    port that goes without saying, say), what servers repeat of it, and the tokens in it."""
    for secret in secrets:
        if not secret.lower().startswith(("http://", "https://")):
            if "://" in secret:
                yield from _TOKEN.findall(secret)
            continue
        try:
            url = URL(secret)
        except ValueError:
            continue
        yield str(url)
        for path in (url.raw_path_qs, url.path_qs, url.raw_path, url.path):
            yield from _TOKEN.findall(path)
            if len(path) >= _SHORTEST_PATH:
                yield path


def _refused(why: str) -> Outcome:
    return Outcome(AttemptOutcome.PERMANENT, error=why)


def _envelope(claim: Claim, at: datetime) -> Envelope:
    delivery = claim.delivery
    return Envelope(
        id=delivery.pk,
        message=Message.from_json(delivery.message),
        purpose=Purpose(delivery.purpose),
        channel=delivery.channel_name,
        created_at=delivery.created_at,
        at=at,
    )


def masked(outcome: Outcome, secrets: frozenset[str]) -> Outcome:
    """An outcome whose texts hold no secret and can be stored."""
    return replace(
        outcome,
        request=_shown(outcome.request, secrets, MOST_REQUEST),
        answer=_shown(outcome.answer, secrets, MOST_ANSWER),
        error=one_line(_shown(outcome.error, secrets, _MOST_ERROR), _MOST_ERROR),
    )


def _shown(value: Any, secrets: frozenset[str], most: int) -> Any:
    if isinstance(value, str):
        text = text_storable(without(value, *secrets))
        return text if len(text) <= most else text[: most - 1] + "…"
    if isinstance(value, Mapping):
        return {str(name): _shown(each, secrets, most) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each, secrets, most) for each in value]
    return value
