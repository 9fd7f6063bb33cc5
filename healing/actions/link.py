"""One HTTP exchange of an action with the API of an engine: by a socket of this machine, or by TCP.

By TCP the address is judged and pinned as that of a check is (`health.checks.web`). Whatever goes
wrong on the way is `ActionFailed`, and so is an answer that is larger than `MOST_ANSWER`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import aiohttp
from yarl import URL

from healing.actions.base import ActionFailed, Context
from health.checks.addresses import Forbidden
from health.checks.base import Failed
from health.checks.options import OptionError
from health.checks.reaching import LOCAL, network_failures, place
from health.checks.tlscontext import tls_context
from health.checks.web import Answer, Limits, Request, fetch, phrase, web_failures
from health.checks.weburl import web_url
from health.checks.words import one_line, reason, without

MOST_ANSWER: Final = 8 * 1024 * 1024
# Seconds that an engine may take for one answer; what takes longer is asked for again.
ANSWER_SECONDS: Final = 10.0
# Of sockaddr_un, with its closing zero.
_LONGEST_PATH: Final = 107
_CHUNK: Final = 65_536


class NoAnswer(ActionFailed):
    """The request may have taken effect: it was sent, or not, and nothing came back in time."""


@dataclass(frozen=True)
class Server:
    """Where an API is: at `url`, or, where `path` is set, at that socket of this machine.

    `headers` go with every request; `secrets` never show in a text.
    """

    url: URL
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    secrets: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """As people write it."""
        return self.path or place(self.url.host or "", self.url.port or 0)

    @property
    def host(self) -> tuple[str, int]:
        """The host and port that are called; a socket counts as this machine's."""
        return (LOCAL, 0) if self.path else (self.url.host or "", self.url.port or 0)


def server_at(option: str, text: str) -> Server:
    """A server by `unix:///path/of.sock`, `http://…` or `https://…`; raises `OptionError`."""
    if not text.startswith("unix:"):
        url = web_url(option, text)
        if url.user is not None or url.query_string or url.fragment:
            raise OptionError(option, "must have no user, query or fragment")
        return Server(url.with_path(url.path.rstrip("/")))
    path = text.removeprefix("unix:").removeprefix("//")
    if not path.startswith("/") or not len(path.encode()) <= _LONGEST_PATH:
        raise OptionError(
            option, f"must name a socket by its whole path, of at most {_LONGEST_PATH} bytes"
        )
    return Server(URL("http://localhost"), path)


def require_local_allowed(path: str, context: Context) -> None:
    """Raises `Forbidden` where sockets of this machine may not be used."""
    if not context.addresses.allow_private:
        raise Forbidden(
            f"{path} is a socket of this machine; RESILIENCE_ALLOW_PRIVATE_TARGETS allows those"
        )


def exchange(
    server: Server,
    method: str,
    path: str,
    context: Context,
    *,
    query: Mapping[str, str] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = ANSWER_SECONDS,
) -> Answer:
    """The answer to one request, whatever its status. Raises `ActionFailed`."""
    url = server.url.joinpath(*path.strip("/").split("/")).with_query(query or None)
    request = Request(url, method, {**server.headers, **(headers or {})}, body)
    answer = asyncio.run(_within(server, request, context, min(seconds, context.left)))
    if answer.flaw:
        raise ActionFailed(f"The answer of {server.where} {answer.flaw}")
    return answer


async def _within(server: Server, request: Request, context: Context, seconds: float) -> Answer:
    try:
        async with asyncio.timeout(seconds):
            return await _one(server, request, context)
    except TimeoutError:
        raise NoAnswer(f"{server.where} gave no answer within {seconds:.1f} s") from None
    except Forbidden as refused:
        raise ActionFailed(str(refused), permanent=True) from None
    except Failed as failed:
        raise NoAnswer(without(failed.output, *server.secrets)) from None
    except OSError as error:
        # What this machine lacks or forbids, such as the right to use the socket.
        raise ActionFailed(f"{server.where} cannot be used: {reason(error)}") from None


async def _one(server: Server, request: Request, context: Context) -> Answer:
    if server.path:
        require_local_allowed(server.path, context)
        return await _by_socket(server.path, request)
    answer = await fetch(
        request,
        addresses=context.addresses,
        tls=server.tls or tls_context(),
        limits=Limits(max_body=MOST_ANSWER),
        doing=lambda step: None,
    )
    return replace(answer, headers=dict(answer.headers))


async def _by_socket(path: str, request: Request) -> Answer:
    began = asyncio.get_running_loop().time()
    with network_failures(path), web_failures(path):
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            ) as session,
            session.request(
                request.method,
                request.url,
                data=request.body,
                headers={"Accept-Encoding": "identity", **request.headers},
                allow_redirects=False,
                middlewares=(functools.partial(_at_once, path),),
            ) as response,
        ):
            wait_ms = (asyncio.get_running_loop().time() - began) * 1000
            parts, size, flaw = [], 0, ""
            async for chunk in response.content.iter_chunked(_CHUNK):
                parts.append(chunk)
                size += len(chunk)
                if size > MOST_ANSWER:
                    flaw = f"is larger than {MOST_ANSWER} bytes"
                    break
            return Answer(
                response.status, dict(response.headers), response.charset, b"".join(parts), flaw,
                wait_ms,
            )  # fmt: skip


async def _at_once(
    path: str, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Fails a request the first time: aiohttp would send many a one again, which acts again."""
    with web_failures(path):
        return await handler(request)


def json_of(answer: Answer, where: str) -> Any:
    """The JSON of a body. Raises `ActionFailed` where it is none."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ActionFailed(f"{where} answered {phrase(answer.status)} with no JSON") from None


T = TypeVar("T")


def part(given: Any, name: str, kind: type[T], where: str) -> T:
    """A member of a JSON object that has the type `kind`. Raises `ActionFailed`."""
    found = given.get(name) if isinstance(given, Mapping) else None
    if not isinstance(found, kind):
        raise ActionFailed(f"{where} gave an answer without {name}")
    return found


def client_tls(
    *, ca: str | None, certificate: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """TLS by the authorities `ca`, with a certificate and key of our own where given (all PEM).

    Raises `OptionError` where one of them is no PEM, or they do not belong together.
    """
    if not (certificate and key):
        return tls_context(ca=ca)
    made = ssl.create_default_context()
    try:
        if ca is not None:
            made = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise OptionError("ca", "must be one or more certificates in PEM") from None
    # OpenSSL reads keys from files alone; this one is its owner's, and gone at once.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
        both.write(f"{key.strip()}\n{certificate.strip()}\n")
        both.flush()
        try:
            made.load_cert_chain(both.name, password=_no_password)
        except (ssl.SSLError, ValueError):
            raise OptionError(
                "certificate", "and key must be PEM, without a password, and belong together"
            ) from None
    return made


def _no_password() -> str:
    """Instead of OpenSSL's question at the terminal."""
    return ""


def told(answer: Answer, where: str, *, said: str = "", permanent: bool = False) -> ActionFailed:
    """The failure that an answer is: its status, and what the server said of it."""
    text = f"{where} answered {phrase(answer.status)}"
    said = one_line(said)
    return ActionFailed(f"{text}: {said}" if said else text, permanent=permanent, output=said)
