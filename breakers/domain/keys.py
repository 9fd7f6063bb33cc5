"""Keys of breakers: short, of safe characters, the same in every process."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def breaker_key(service: str, name: str) -> str:
    """What pages listen to and link by: 16 hex digits of the service and the breaker's name."""
    data = f"{service}\0{name}".encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=8).hexdigest()


def domain_stamp(members: Iterable[tuple[str, str, int]]) -> int:
    """The version of a failure domain: another number once a breaker joins or leaves, or the
    control document of one of its services (service, breaker, version of the document) changes.

    It says nothing of which came first, and fits what JavaScript counts exactly.
    """
    digest = blake2b(digest_size=6)
    for member in sorted(members):
        digest.update(repr(member).encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest())
