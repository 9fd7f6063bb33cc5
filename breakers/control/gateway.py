"""`GET /api/v1/control`: the long poll, as a plain ASGI application in front of Django.

Two thousand waiting requests in Django's own views would be two thousand threads. Here one that
waits is a coroutine; it is answered when the document changes, after `wait` seconds with 304, or
when the process is about to end.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import orjson
from django.db import InterfaceError, OperationalError

from breakers.control import hub as hubs
from breakers.control.hub import Held, Hub
from breakers.domain.document import view
from breakers.services.instances import Poll
from resilience_site.core.choices import Scope as KeyScope
from resilience_site.core.keys import key_check_async
from resilience_site.core.permissions import bearer_token, scope_allows
from resilience_site.core.problems import (
    MEDIA_TYPE,
    FieldError,
    Forbidden,
    Invalid,
    Problem,
    Unauthorized,
    Unavailable,
    problem_document,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

PATH = "/api/v1/control"
DEFAULT_WAIT = 25.0
LONGEST_WAIT = 60.0
MAX_WAITING = 10_000
_MAX_NAME = 200
_VERSION = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_LATEST_START = 253_402_300_000.0


class _Question(NamedTuple):
    service: str
    instance: str
    wait: float
    started: float | None
    known: int | None


class ControlGateway:
    """Wraps the site's ASGI application; other paths pass through untouched."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        try:
            await _serve(scope, receive, send)
        except Problem as problem:
            await _refuse(send, problem)
        except (OperationalError, InterfaceError):
            down = Unavailable("The database does not answer; keep the last document, ask again.")
            await _refuse(send, down)


async def _serve(scope: Message, receive: Receive, send: Send) -> None:
    if scope["method"] != "GET":
        wrong = Problem("Ask for the control document with GET.")
        wrong.status = 405
        wrong.headers["Allow"] = "GET"
        raise wrong
    headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
    await _check_key(headers)
    question = _question(scope, headers)
    hub = hubs.running()
    held = await hub.document(question.service, question.known if question.wait else None)
    hub.note(_poll(question, held))
    if question.known == held.version and question.wait:
        if hub.waiting >= MAX_WAITING:
            raise Unavailable("Too many polls wait already; ask again.", retry_after=1)
        if not await _changed(hub, question, receive):
            return
        # A key that was revoked meanwhile is told nothing new.
        await _check_key(headers)
        held = hub.cached(question.service) or await hub.document(question.service)
    await _answer(send, question, held)


async def _check_key(headers: dict[bytes, str]) -> None:
    token = bearer_token(headers.get(b"authorization", ""))
    key = await key_check_async(token) if token else None
    if key is None:
        raise Unauthorized("Send Authorization: Bearer with an ingest key that is not revoked.")
    if not scope_allows(key.scope, KeyScope.INGEST):
        raise Forbidden(f"This needs a key with scope ingest, not {key.scope}.")


def _poll(question: _Question, held: Held) -> Poll:
    # Nobody can have applied what there is not yet.
    known = question.known
    applied = known if known is not None and known <= held.version else None
    return Poll(question.service, question.instance, applied, question.started)


async def _changed(hub: Hub, question: _Question, receive: Receive) -> bool:
    """Wait for a change, or for the time to be over; false where the client has left."""
    change = hub.changes(question.service)
    left = asyncio.ensure_future(_disconnected(receive))
    left.add_done_callback(lambda _: _settle(change))
    timer = asyncio.get_running_loop().call_later(question.wait, _settle, change)
    try:
        await change
        return not left.done()
    finally:
        timer.cancel()
        left.cancel()
        hub.forget(question.service, change)


def _settle(change: asyncio.Future[None]) -> None:
    if not change.done():
        change.set_result(None)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, question: _Question, held: Held) -> None:
    headers = [(b"etag", b'"%d"' % held.version), (b"cache-control", b"no-store")]
    if question.known == held.version:
        await _send(send, 304, headers, b"")
        return
    served = view(held.whole, instance=question.instance, now=datetime.now(UTC))
    document = {"version": held.version, "service": question.service, **served}
    headers.append((b"content-type", b"application/json"))
    await _send(send, 200, headers, orjson.dumps(document))


async def _refuse(send: Send, problem: Problem) -> None:
    document = problem_document(problem.status, problem.detail, PATH, **problem.members())
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await _send(send, problem.status, headers, orjson.dumps(document, default=str))


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if status != 304:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# --- What is asked


def _question(scope: Message, headers: dict[bytes, str]) -> _Question:
    try:
        query = parse_qs(scope["query_string"].decode("ascii"), strict_parsing=False)
    except UnicodeDecodeError:
        raise Invalid("The query cannot be read; escape what is not ASCII.") from None
    errors: list[FieldError] = []
    service = _name(query, "service", errors)
    instance = _name(query, "instance", errors)
    wait = _seconds(query, "wait", DEFAULT_WAIT, errors)
    started = _seconds(query, "started", None, errors)
    if errors:
        detail = "; ".join(f"{each.field}: {each.message}" for each in errors)
        raise Invalid(detail, errors)
    assert wait is not None
    found = _VERSION.fullmatch(headers.get(b"if-none-match", "").strip())
    return _Question(
        service,
        instance,
        min(wait, LONGEST_WAIT),
        None if started is None else min(started, _LATEST_START),
        int(found[1]) if found else None,
    )


def _name(query: dict[str, list[str]], field: str, errors: list[FieldError]) -> str:
    value = query.get(field, [""])[-1].strip()
    if not value or len(value) > _MAX_NAME or not value.isprintable():
        meaning = {"service": "service.name", "instance": "service.instance.id"}[field]
        message = f"give the {meaning}: one line of at most {_MAX_NAME} characters"
        errors.append(FieldError(f"query.{field}", message))
    return value


def _seconds(
    query: dict[str, list[str]], field: str, default: float | None, errors: list[FieldError]
) -> float | None:
    if field not in query:
        return default
    try:
        value = float(query[field][-1])
    except ValueError:
        value = -1.0
    if not math.isfinite(value) or value < 0:
        errors.append(FieldError(f"query.{field}", "give a number of seconds, 0 or more"))
        return default
    return value
