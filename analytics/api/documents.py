"""JSON that other systems post: read in pieces up to a limit, packed with gzip or not."""

from __future__ import annotations

import json
from typing import Any

import orjson
from django.http import HttpRequest

from analytics.domain.bodies import GzipBody, PlainBody, TooLarge, Undecodable
from resilience_site.config import config
from resilience_site.core.problems import Malformed, Problem

_CHUNK = 1 << 20


class ContentTooLarge(Problem):
    status = 413


class UnknownCoding(Problem):
    status = 415


def posted_document(request: HttpRequest, things: str, most_mib: int | None = None) -> Any:
    """The document in the body of a request; `things` are what it holds, for whoever sends too
    many of them.

    Raises `UnknownCoding`, `ContentTooLarge` (above `most_mib` or RESILIENCE_MAX_BODY_MIB, also
    unpacked) and `Malformed`.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip"):
        raise UnknownCoding("Send Content-Encoding gzip, or none.")
    limit = min(most_mib or config.resilience_max_body_mib, config.resilience_max_body_mib) << 20
    body = GzipBody(limit) if coding == "gzip" else PlainBody(limit)
    try:
        while chunk := request.read(_CHUNK):
            body.feed(chunk)
        return _parsed(body.finish())
    except TooLarge:
        mib = limit >> 20
        raise ContentTooLarge(f"The body is larger than {mib} MiB; send fewer {things}.") from None
    except Undecodable as error:
        raise Malformed(f"The body cannot be read: {error}.") from None
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None


def _parsed(body: bytes) -> Any:
    """The document of a JSON body; raises `orjson.JSONDecodeError`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # JavaScript that cuts a text in the middle of an emoji sends half of a surrogate pair, as
        # an escape, which JSON allows and UTF-8 cannot hold.
        if b"\\ud" not in body.lower():
            raise
        try:
            whole = json.dumps(json.loads(body), ensure_ascii=False)
        except (ValueError, RecursionError):
            whole = ""
        if not whole:
            raise
        return orjson.loads(whole.encode("utf-8", "replace"))
