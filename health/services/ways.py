"""The way by which a run sends its secrets: whether another one protects them less."""

from __future__ import annotations

import dataclasses
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

_ENCRYPTED: Final = frozenset({"https", "rediss", "amqps"})
# Parameters of URLs that say who is trusted and what is encrypted.
_PROTECTING: Final = frozenset(
    {"sslmode", "sslrootcert", "channel_binding", "ssl_cert_reqs", "ssl_ca_certs"}
)


def weaker(before: Any, after: Any) -> bool:
    """Whether options of a kind encrypt less than those before, or trust others than those."""
    if getattr(before, "verify_tls", False) and not getattr(after, "verify_tls", False):
        return True
    authorities = getattr(after, "ca", None)
    if authorities is not None and authorities != getattr(before, "ca", None):
        return True
    return any(
        _url_weaker(getattr(before, each.name), getattr(after, each.name))
        for each in dataclasses.fields(before)
    )


def _url_weaker(before: Any, after: Any) -> bool:
    if not isinstance(before, str) or not isinstance(after, str) or "://" not in before:
        return False
    encrypted, protected = _protection(before)
    return (encrypted and not _protection(after)[0]) or protected != _protection(after)[1]


def _protection(url: str) -> tuple[bool, dict[str, str]]:
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    return parts.scheme.lower() in _ENCRYPTED, {
        name: asked[name] for name in sorted(_PROTECTING & set(asked))
    }
