"""HTTP: the status, and what the answer must say in its headers, its text, or its JSON."""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from yarl import URL

from health.checks import jsonpaths
from health.checks.base import CheckKind, Context, Failed, Finding, Observed, kind
from health.checks.options import OptionError, require_range
from health.checks.secrecy import body_secret_parts, secret_parts, url_secret_parts
from health.checks.statuses import statuses
from health.checks.tlscontext import tls_context
from health.checks.web import MAX_REDIRECTS, Answer, Limits, Request, fetch, phrase
from health.checks.weburl import HEADER, require_headers, web_url
from health.checks.words import one_line, without

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WITHOUT_BODY: Final = ("GET", "HEAD")
# Values that are no secrets, though headers are kept as such: they may stand in texts.
_PLAIN: Final = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "host"})
_LARGEST: Final = 10 * 1_048_576
# A larger text is searched beside the event loop.
_LARGE: Final = 65_536
_UNSET: Final[Any] = object()
_NO_CHARSETS: Final = frozenset(
    [
        "punycode",
        "idna",
        "undefined",
        "unicode-escape",
        "raw-unicode-escape",
        "base64",
        "bz2",
        "hex",
        "quopri",
        "rot-13",
        "uu",
        "zlib",
    ]
)


@dataclass(frozen=True)
class HttpOptions:
    """Options of an HTTP check.

    `status`: `200`, `"200-299"`, or a list of such. `keyword` must stand in the body, and
    `keyword_absent` must not. `response_headers` must contain the given texts, in any case; an
    empty text asks only for the header. Every value that `json_path` (RFC 9535) finds, and there
    must be one, equals `json_equals`, or is a number within `json_min` and `json_max`.
    `ca` (PEM) is trusted in place of the system's authorities. Redirects are followed at most 5
    times; headers stay with the origin they were meant for. A body of more than `max_body_bytes`
    fails a check that looks into it.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    status: str | int | tuple[str | int, ...] = "200-299"
    keyword: str | None = None
    keyword_absent: str | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    json_path: str | None = None
    json_equals: Any = _UNSET
    json_min: float | None = None
    json_max: float | None = None
    verify_tls: bool = True
    ca: str | None = None
    follow_redirects: bool = False
    max_body_bytes: int = 1_048_576


@kind("http", "HTTP")
class HttpCheck(CheckKind[HttpOptions]):
    Options = HttpOptions
    secrets = frozenset({"headers", "body"})
    url_secrets = frozenset({"url"})

    def validate(self, options: HttpOptions) -> None:
        url = web_url("url", options.url)
        if options.method not in _METHODS:
            raise OptionError("method", f"must be one of {', '.join(_METHODS)}")
        if options.body and options.method in _WITHOUT_BODY:
            raise OptionError("body", f"cannot be sent with {options.method}")
        _require_headers(options, url)
        _require_expectations(options)
        require_range("max_body_bytes", options.max_body_bytes, 1, _LARGEST)
        tls_context(ca=options.ca, verify=options.verify_tls, alpn=("http/1.1",))

    def hosts(self, options: HttpOptions) -> tuple[tuple[str, int], ...]:
        url = web_url("url", options.url)
        return ((url.host or "", url.port or 0),)

    async def run(self, options: HttpOptions, context: Context) -> Finding:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            answer = await fetch(
                _request(options),
                addresses=context.addresses,
                tls=tls_context(ca=options.ca, verify=options.verify_tls, alpn=("http/1.1",)),
                limits=Limits(
                    max_body=options.max_body_bytes,
                    redirects=MAX_REDIRECTS if options.follow_redirects else 0,
                ),
                doing=context.doing,
            )
            latency_ms = (loop.time() - began) * 1000
            observed = {
                "status_code": Observed(answer.status),
                "body": Observed(len(answer.body), "bytes"),
                "first_byte": Observed(answer.wait_ms, "ms"),
            }
            if not context.deep:
                words = f"Answered {phrase(answer.status)} (not looked at more deeply)"
                return Finding(output=words, observed=observed, latency_ms=latency_ms)
            words = await _judge(options, answer)
        except Failed as failed:
            # A server may say back what it was told.
            raise Failed(without(failed.output, *_secrets(options)), failed.observed) from None
        return Finding(
            output=without(words, *_secrets(options)), observed=observed, latency_ms=latency_ms
        )


async def _judge(options: HttpOptions, answer: Answer) -> str:
    """What the answer is, in one line. Raises `Failed` where it is not what is expected."""
    expected = statuses(options.status)
    if answer.status not in expected:
        raise Failed(f"Answered {phrase(answer.status)}, expected {expected}{_leads(answer)}")
    for name, wanted in options.response_headers.items():
        _judge_header(name, wanted, answer)
    asked = [f"answered {phrase(answer.status)}"]
    if options.keyword is not None or options.keyword_absent is not None:
        asked.append(_judge_text(options, answer))
    if options.json_path is not None:
        asked.append(await _judge_json(options, answer))
    if answer.redirected:
        asked.append(f"after {answer.redirected} redirects")
    words = "; ".join(asked)
    return words[0].upper() + words[1:]


def _leads(answer: Answer) -> str:
    if "Location" not in answer.headers:
        return ""
    try:
        host = URL(answer.headers["Location"]).host
    except ValueError:
        return ""
    # Where to on that host may be a secret.
    return f" (it redirects to {one_line(host, 60)})" if host else " (it redirects)"


def _judge_header(name: str, wanted: str, answer: Answer) -> None:
    value = answer.headers.get(name)
    if value is None:
        raise Failed(f"The answer has no header {name}")
    if wanted.lower() not in value.lower():
        raise Failed(f"The header {name} is “{one_line(value, 80)}”, expected “{wanted}”")


def _whole(answer: Answer) -> bytes:
    if answer.flaw:
        raise Failed(f"The body {answer.flaw}, so it was not looked into")
    return answer.body


def _is_charset(name: str) -> bool:
    """Whether bytes are decoded as that in time linear to their number. Python knows more by that
    name than character sets; some take the square of it, which the server must not choose."""
    try:
        return codecs.lookup(name).name not in _NO_CHARSETS
    except (LookupError, ValueError):
        return False


def _judge_text(options: HttpOptions, answer: Answer) -> str:
    body = _whole(answer)
    if not _is_charset(answer.charset or "utf-8"):
        raise Failed("The body is in an unknown character set")
    text = body.decode(answer.charset or "utf-8", "replace")
    if options.keyword is not None and options.keyword not in text:
        raise Failed(f"The body does not contain “{one_line(options.keyword, 80)}”")
    if options.keyword_absent is not None and options.keyword_absent in text:
        raise Failed(f"The body contains “{one_line(options.keyword_absent, 80)}”")
    return "the body says what it should"


async def _judge_json(options: HttpOptions, answer: Answer) -> str:
    path = options.json_path or "$"
    body = _whole(answer)
    try:
        if len(body) > _LARGE:
            found = await asyncio.to_thread(jsonpaths.found_in, body, path)
        else:
            found = jsonpaths.found_in(body, path)
    except jsonpaths.NoJson as error:
        raise Failed(f"The body {error}") from None
    if not found:
        raise Failed(f"Nothing is at {path} in the body")
    for value in found:
        _judge_value(options, path, value)
    return f"{path} is {_shown(found[0])}" if len(found) == 1 else f"{path} is as expected"


def _judge_value(options: HttpOptions, path: str, value: Any) -> None:
    if options.json_equals is not _UNSET and not jsonpaths.same(value, options.json_equals):
        raise Failed(f"{path} is {_shown(value)}, expected {_shown(options.json_equals)}")
    if options.json_min is None and options.json_max is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Failed(f"{path} is {_shown(value)}, expected a number")
    if options.json_min is not None and value < options.json_min:
        raise Failed(f"{path} is {_shown(value)}, expected at least {options.json_min:g}")
    if options.json_max is not None and value > options.json_max:
        raise Failed(f"{path} is {_shown(value)}, expected at most {options.json_max:g}")


def _shown(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), 80)


def _request(options: HttpOptions) -> Request:
    url = web_url("url", options.url)
    headers = dict(options.headers)
    if url.user is not None:
        pair = f"{url.user}:{url.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    body = options.body.encode() if options.body else None
    return Request(url.with_user(None).with_fragment(None), options.method, headers, body)


def _require_headers(options: HttpOptions, url: URL) -> None:
    require_headers("headers", options.headers)
    names = {name.lower() for name in options.headers}
    if url.user is not None and "authorization" in names:
        raise OptionError("headers", "has Authorization, and so has the URL before its @")
    for name in options.response_headers:
        if not HEADER.fullmatch(name):
            raise OptionError("response_headers", "has a name that no header has")


def _require_expectations(options: HttpOptions) -> None:
    try:
        statuses(options.status)
    except ValueError as error:
        raise OptionError("status", str(error)) from None
    for name in ("keyword", "keyword_absent"):
        if getattr(options, name) == "":
            raise OptionError(name, "must not be empty")
    compared = [
        name
        for name in ("json_equals", "json_min", "json_max")
        if getattr(options, name) not in (None, _UNSET)
    ]
    if options.json_path is None and compared:
        raise OptionError(compared[0], "needs json_path")
    looks_inside = options.json_path or options.keyword or options.keyword_absent
    if options.method == "HEAD" and looks_inside:
        raise OptionError("method", "must not be HEAD where the body is looked into")
    if options.json_path is not None:
        try:
            jsonpaths.compiled(options.json_path)
        except ValueError as error:
            raise OptionError("json_path", str(error)) from None


def _secrets(options: HttpOptions) -> set[str]:
    """The texts that no output may carry."""
    sent = _request(options).headers
    kept = {name: value for name, value in sent.items() if name.lower() not in _PLAIN}
    return secret_parts(kept) | url_secret_parts(options.url) | body_secret_parts(options.body)
