"""Keys of breakers: short, of safe characters, the same in every process."""

from __future__ import annotations

from hashlib import blake2b


def breaker_key(service: str, name: str) -> str:
    """What pages listen to and link by: 16 hex digits of the service and the breaker's name."""
    data = f"{service}\0{name}".encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=8).hexdigest()
