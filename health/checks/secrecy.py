"""Which texts of a check's options are secrets, in case that a server echoes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# Shorter ones stand in any text; a secret that short protects nothing.
SHORTEST = 4
# Of a body, which has names and plain words too.
LONG = 8


def secret_parts(value: Any) -> set[str]:
    """The texts of a secret option that must not show: whole, and word by word (`Bearer …`)."""
    if isinstance(value, Mapping):
        return set().union(*(secret_parts(each) for each in value.values()))
    if not isinstance(value, str):
        return set()
    return {part for part in (value, *value.split()) if len(part) >= SHORTEST}


def url_secret_parts(url: str) -> set[str]:
    """The password and the values of the query of a URL, as written and decoded."""
    parts = urlsplit(url)
    _, _, password = parts.netloc.rpartition("@")[0].partition(":")
    written = [pair.partition("=")[2] for pair in parts.query.split("&")]
    decoded = [value for _, value in parse_qsl(parts.query)]
    found = (password, unquote(password), *written, *decoded)
    return {each for each in found if len(each) >= SHORTEST}


def body_secret_parts(body: str | None) -> set[str]:
    """The texts of a body that must not show: whole, and every long word in it."""
    words = re.findall(r"[^\s&=\"':,{}\[\]]+", body or "")
    return {each for each in (body or "", *words) if len(each) >= LONG}
