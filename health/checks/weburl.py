"""Options that are web addresses and headers: what may be called, and what can be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from yarl import URL

from health.checks.addresses import literal_address
from health.checks.options import OptionError, require_host

HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Those that frame the message are the client's own.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "te", "upgrade"})


def web_url(option: str, text: str) -> URL:
    """An http or https URL with a host; raises `OptionError`."""
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise OptionError(option, "is no valid URL") from None
    if url.scheme not in ("http", "https"):
        raise OptionError(option, "must begin with http:// or https://")
    if len(text) > 4096 or not url.host or not port:
        raise OptionError(option, "must name a host, and have at most 4096 characters")
    require_host(option, url.host)
    literal = literal_address(url.host)
    if literal is not None and literal.version == 4 and str(literal) != url.host:
        raise OptionError(option, f"must write its address as {literal}")
    return url


def require_headers(option: str, headers: Mapping[str, str]) -> None:
    """Refuse headers that cannot be sent, or not by us; raises `OptionError`."""
    for name, value in headers.items():
        if not HEADER.fullmatch(name) or name.lower() in _FRAMING:
            raise OptionError(option, "has a name that cannot be sent as a header")
        if any((ord(each) < 32 and each != "\t") or ord(each) == 127 for each in value):
            raise OptionError(option, f"has control characters in the value of {name}")
