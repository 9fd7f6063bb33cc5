"""The ASGI gateway of the OTLP paths: it owns every status that their senders see.

Django would spool the whole body before any view runs, refuse it beyond 2.5 MB, and answer 404
and 405 in HTML. So the key, the encodings and the limits are checked here, the body is handed on
in the scope, and whatever Django answers that is not OTLP becomes a `google.rpc.Status`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from django.db import InterfaceError, OperationalError

from analytics.domain.bodies import TooLarge, Undecodable
from analytics.domain.otlp_responses import JSON, PROTOBUF, Violation, status
from analytics.ingest.bodies import Disconnected, Receive, read_body
from analytics.services.ingest_counters import record_refusal
from analytics.services.keys_heard import key_note
from breakers.runtime import CallNotPermitted, CircuitBreaker, default
from resilience_site.config import config
from resilience_site.core.choices import Scope as KeyScope
from resilience_site.core.keys import key_check_async
from resilience_site.core.permissions import bearer_token, scope_allows

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
# Django's handler and the standard's name for the same thing differ in their types.
App = Callable[[Any, Any, Any], Awaitable[None]]

PREFIX = "/v1/"
SIGNALS = ("traces", "logs", "metrics")
# Marks an answer of the OTLP operations; everything else is Django's own.
ANSWER_HEADER = b"x-otlp-answer"
RETRY_AFTER_STORE = 5
STORE_REST_SECONDS = 2.0
_RETRY_AFTER_BUSY = 1
# Bodies that one process holds at once, decompressed.
_MAX_IN_FLIGHT = 256 << 20
_DRAIN_LIMIT = 4 << 20


class Refusal(Exception):
    """An answer other than success."""

    def __init__(
        self, http_status: int, reason: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = http_status
        self.reason = reason
        self.headers = headers or {}


class _Request(NamedTuple):
    signal: str
    encoding: str
    gzip: bool


class OtlpGateway:
    """Wraps Django's ASGI application; other paths pass through untouched."""

    def __init__(self, app: App, store: CircuitBreaker | None = None) -> None:
        self._app = app
        self._in_flight = 0
        self._store = store or store_breaker()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        encoding = _encoding(headers) or JSON
        unread = _Unread(receive)
        try:
            await self._serve(scope, headers, unread.receive, send)
        except Disconnected:
            return
        except Refusal as refusal:
            signal = scope["path"].removeprefix(PREFIX)
            if signal in SIGNALS:
                record_refusal(signal, refusal.reason)
            # A sender that is still writing would see a broken pipe instead of the answer.
            drained = await unread.drain(_DRAIN_LIMIT)
            extra = refusal.headers | ({} if drained else {"connection": "close"})
            body = status(refusal.status, str(refusal), encoding, _violations(refusal))
            await _answer(send, refusal.status, body, encoding, extra)

    async def _serve(
        self, scope: Message, headers: dict[bytes, str], receive: Receive, send: Send
    ) -> None:
        request = _request(scope, headers)
        try:
            permit = self._store.acquire()
        except CallNotPermitted as rejected:
            # Nobody waits for connections to a store that is known to be down.
            raise store_down(rejected.retry_after) from None
        try:
            answered = await self._receive(scope, request, headers, receive, send)
        except Refusal as refusal:
            if refusal.reason == _STORE_DOWN:
                permit.failure(refusal)
            raise
        else:
            if answered == 503:
                permit.failure(store_down())
            else:
                permit.success()
        finally:
            permit.ignore()  # where nothing is known of the store: a refusal, a sender that left

    async def _receive(
        self,
        scope: Message,
        request: _Request,
        headers: dict[bytes, str],
        receive: Receive,
        send: Send,
    ) -> int:
        """Check, read and hand on; the status that was answered."""
        key_id = await _check_key(headers)
        limit = config.resilience_max_body_mib << 20
        if self._in_flight > _MAX_IN_FLIGHT:
            raise Refusal(
                503, "busy", "The site is busy; send again in a moment.",
                {"retry-after": str(_RETRY_AFTER_BUSY)},
            )  # fmt: skip
        body = await _body(receive, request, limit)
        self._in_flight += len(body)
        try:
            answered = await self._hand_on(scope, request, body, receive, send)
        finally:
            self._in_flight -= len(body)
        if answered < 300:
            key_note(key_id)
        return answered

    async def _hand_on(
        self, scope: Message, request: _Request, body: bytes, receive: Receive, send: Send
    ) -> int:
        handed = {**scope, "otlp.body": body, "otlp.encoding": request.encoding}
        answer = _Answer()
        await self._app(handed, _after_empty_body(receive), answer.send)
        if answer.is_otlp:
            extra = {
                name.decode(): value.decode("latin-1")
                for name, value in answer.headers
                if name == b"retry-after"
            }
            if answer.status >= 400:
                record_refusal(request.signal, _REASONS.get(answer.status, "refused"))
            await _answer(send, answer.status, answer.body, request.encoding, extra)
            return answer.status
        raise Refusal(
            answer.status if answer.status >= 400 else 500,
            "internal error",
            "The site failed to handle the request; its log has the details.",
        )


_STORE_DOWN = "store down"
_REASONS = {400: "undecodable", 503: _STORE_DOWN}


def store_breaker() -> CircuitBreaker:
    """The breaker between ingest and its store; soon closed again, as senders come back soon."""
    return default().breaker(
        "database",
        failure_threshold=3,
        timeout=STORE_REST_SECONDS,
        permitted_calls_in_half_open_state=1,
        expected_exception=Refusal,
    )


class _Unread:
    """Remembers whether a request's body was read to its end."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._done = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._done = True
        return message

    async def drain(self, limit: int) -> bool:
        """Read what is left, at most `limit` bytes; whether that was all."""
        size = 0
        while not self._done and size <= limit:
            size += len((await self.receive()).get("body", b""))
        return self._done


class _Answer:
    """Collects what the inner application answers."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(name.lower(), value) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    @property
    def is_otlp(self) -> bool:
        return any(name == ANSWER_HEADER for name, _ in self.headers)


def _encoding(headers: dict[bytes, str]) -> str | None:
    """The body's encoding by its content type, None where it is neither."""
    content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
    return content_type if content_type in (PROTOBUF, JSON) else None


def _request(scope: Message, headers: dict[bytes, str]) -> _Request:
    signal = scope["path"].removeprefix(PREFIX)
    if signal not in SIGNALS:
        paths = ", ".join(f"{PREFIX}{name}" for name in SIGNALS)
        raise Refusal(404, "unknown path", f"There is nothing here; OTLP is received at {paths}.")
    if scope["method"] != "POST":
        raise Refusal(405, "wrong method", "Send telemetry with POST.", {"allow": "POST"})
    encoding = _encoding(headers)
    if encoding is None:
        raise Refusal(415, "content type", f"Send Content-Type {PROTOBUF} or {JSON}.")
    coding = headers.get(b"content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip"):
        raise Refusal(415, "content encoding", "Send Content-Encoding gzip, or none.")
    return _Request(signal, encoding, coding == "gzip")


async def _check_key(headers: dict[bytes, str]) -> int:
    """The id of the key that may post telemetry; refuses others."""
    token = bearer_token(headers.get(b"authorization", ""))
    try:
        key = await key_check_async(token) if token else None
    except (OperationalError, InterfaceError):
        raise store_down() from None
    if key is None:
        raise Refusal(
            401, "key", "Send Authorization: Bearer with an ingest key that is not revoked.",
            {"www-authenticate": "Bearer"},
        )  # fmt: skip
    if not scope_allows(key.scope, KeyScope.INGEST):
        raise Refusal(403, "scope", f"This needs a key with scope ingest, not {key.scope}.")
    return key.id


def store_down(wait: float | None = None) -> Refusal:
    """The answer while the store does not answer: the sender keeps its items and comes back."""
    seconds = RETRY_AFTER_STORE if wait is None else max(1, math.ceil(wait))
    return Refusal(
        503, _STORE_DOWN, "The database does not answer; nothing was stored, send again.",
        {"retry-after": str(seconds)},
    )  # fmt: skip


async def _body(receive: Receive, request: _Request, limit: int) -> bytes:
    try:
        return await read_body(receive, gzip=request.gzip, limit=limit)
    except TooLarge:
        mib = limit >> 20
        raise Refusal(
            413, "too large", f"The body is larger than {mib} MiB; send smaller batches."
        ) from None
    except Undecodable as error:
        raise Refusal(400, "undecodable", str(error)) from None


def _violations(refusal: Refusal) -> list[Violation]:
    return [Violation("body", str(refusal))] if refusal.status == 400 else []


def _after_empty_body(receive: Receive) -> Receive:
    """What Django receives: an empty body, then whatever comes after the real one."""
    sent = False

    async def inner() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return inner


async def _answer(
    send: Send, http_status: int, body: bytes, encoding: str, extra: dict[str, str]
) -> None:
    headers = [(b"content-type", encoding.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in extra.items()]
    await send({"type": "http.response.start", "status": http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
