"""Kinds that post JSON to a URL: the request, and what its answer means.

The host is resolved once, judged and pinned (`health.checks.web`); redirects are not followed, as
whoever answers with one would choose another address for what is meant for this one.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from yarl import URL

from alerting.channels.base import ATTEMPT_SECONDS, Envelope, Kind, Outcome, Unclear
from alerting.choices import AttemptOutcome
from health.checks.addresses import Addresses, Forbidden
from health.checks.base import Failed, Progress
from health.checks.tlscontext import tls_context
from health.checks.web import Answer, Limits, Request, fetch, phrase
from health.checks.words import one_line

O = TypeVar("O")  # noqa: E741

AGENT: Final = "resilience-control-plane"
# Bytes of an answer that are read; a receiver has no more to say than why it refused.
_MOST_ANSWER: Final = 16_384
# Characters of it that are said where it refuses a secret.
_MOST_SAID: Final = 120
# Beside 5xx: the receiver was busy, and says so.
_BUSY: Final = frozenset({408, 425, 429})
# Of an address or a secret that nobody knows there.
_UNKNOWN: Final = frozenset({401, 403, 404, 410})


class HttpKind(Kind[O]):
    """A kind whose attempt is one POST."""

    @abstractmethod
    def request(self, options: O, envelope: Envelope) -> Request:
        """The message in the receiver's form; the body is the same in each attempt."""

    @abstractmethod
    def url(self, options: O) -> URL:
        """Where it is posted to."""

    def authorities(self, options: O) -> str | None:
        """Certificates (PEM) that are trusted in place of the system's, or None."""
        return None

    def probe(self, options: O) -> Request | None:
        """A request that tells nobody anything, whatever it is answered, and whose answer shows
        whether the receiver takes the secrets; None where there is no such request."""
        return None

    def taken(self, answer: Answer) -> bool | None:
        """What the answer to a probe says of the secrets; None where it says nothing."""
        return False if answer.status in _UNKNOWN or 300 <= answer.status < 400 else None

    def destinations(self, options: O) -> tuple[tuple[str, str, int], ...]:
        url = self.url(options)
        return ((url.scheme, url.host or "", url.port or 0),)

    async def prove(self, options: O, addresses: Addresses) -> Outcome | Unclear | None:
        request = self.probe(options)
        if request is None:
            return None
        answer = await self._asked(request, options, addresses)
        return answer if isinstance(answer, Outcome) else _proved(answer, self.taken(answer))

    async def send(self, options: O, envelope: Envelope, addresses: Addresses) -> Outcome:
        request = self.request(options, envelope)
        answer = await self._asked(request, options, addresses)
        if isinstance(answer, Outcome):
            return answer
        return outcome_of(answer, request_shown(request), now=envelope.at)

    async def _asked(self, request: Request, options: O, addresses: Addresses) -> Answer | Outcome:
        """What is answered, or what keeps it from being."""
        shown = request_shown(request)
        step = Progress("waiting for the connection")
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return await fetch(
                    request,
                    addresses=addresses,
                    tls=tls_context(ca=self.authorities(options)),
                    limits=Limits(max_body=_MOST_ANSWER),
                    doing=lambda text: setattr(step, "step", text),
                )
        except TimeoutError:
            said = f"Given up after {ATTEMPT_SECONDS:g} s while {step.step}"
            return Outcome(AttemptOutcome.RETRY, shown, error=said)
        except Failed as failed:
            return Outcome(AttemptOutcome.RETRY, shown, error=failed.output)
        except Forbidden as refused:
            return Outcome(AttemptOutcome.PERMANENT, shown, error=str(refused))


def _proved(answer: Answer, taken: bool | None) -> Outcome | Unclear:
    """What follows from the answer to a probe; a receiver that is busy may be asked later."""
    text = answer.body.decode("utf-8", "replace")
    said = f"It answered {phrase(answer.status)}"
    if text.strip():
        said += f" ({one_line(text, _MOST_SAID)})"
    if taken is not None:
        verdict = AttemptOutcome.DELIVERED if taken else AttemptOutcome.PERMANENT
        return Outcome(verdict, status=answer.status, answer=text, error="" if taken else said)
    if answer.status in _BUSY or answer.status >= 500:
        return Outcome(AttemptOutcome.RETRY, status=answer.status, answer=text, error=said)
    return Unclear(said)


def request_shown(request: Request) -> dict[str, Any]:
    """A request as people see it."""
    return {
        "method": request.method,
        "url": str(request.url),
        "headers": dict(request.headers),
        "body": (request.body or b"").decode("utf-8", "replace"),
    }


def outcome_of(answer: Answer, shown: Mapping[str, Any], *, now: datetime) -> Outcome:
    """What an answer means: 2xx is success; 408, 425, 429 and 5xx are tried again; the rest is
    refused for good, and 410 says that nobody listens there any more."""
    text = answer.body.decode("utf-8", "replace")
    if 200 <= answer.status < 300:
        return Outcome(AttemptOutcome.DELIVERED, shown, answer.status, text)
    said = f"It answered {phrase(answer.status)}"
    if answer.status in _BUSY or answer.status >= 500:
        return Outcome(
            AttemptOutcome.RETRY, shown, answer.status, text, said,
            retry_after=retry_after(answer.headers.get("Retry-After", ""), now=now),
        )  # fmt: skip
    if 300 <= answer.status < 400:
        said += ", and redirects are not followed: give the address that it leads to"
    return Outcome(
        AttemptOutcome.PERMANENT, shown, answer.status, text, said, gone=answer.status == 410
    )


def retry_after(text: str, *, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks for, as a number or a date (RFC 9110); None for no such."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
