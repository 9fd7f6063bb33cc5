"""The OAuth 2.0 client-credentials tokens that the Graph simulator issues and checks."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

_KEPT = 1000


class Tokens:
    """Bearer tokens with a lifetime in seconds; the oldest are forgotten beyond a bound."""

    def __init__(self, rng: random.Random, clock: Callable[[], float], lifetime: float) -> None:
        self.lifetime = lifetime
        self._rng = rng
        self._clock = clock
        self._expiry: dict[str, float] = {}

    def issue(self) -> str:
        token = "EwB" + base64.urlsafe_b64encode(self._rng.randbytes(96)).decode()
        self._expiry[token] = self._clock() + self.lifetime
        while len(self._expiry) > _KEPT:
            del self._expiry[next(iter(self._expiry))]
        return token

    def problem(self, authorization: str) -> str | None:
        """Why the Authorization header is refused, in Graph's words, or None where it is good."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return "Access token is empty."
        expiry = self._expiry.get(token.strip())
        if expiry is None:
            return "Access token validation failure. Invalid signature."
        if expiry <= self._clock():
            return "Lifetime validation failed, the token is expired."
        return None
