"""Signatures of webhooks by Standard Webhooks 1.0 (symmetric, `v1`)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
SHORTEST, LONGEST = 24, 64


def secret_new() -> str:
    """A random secret of 32 bytes in the form that receivers expect."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key within a secret; raises `ValueError` with what is wrong, never the secret itself."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"must begin with {PREFIX}, as Standard Webhooks writes secrets")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be {PREFIX} and then Base64") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"must hold {SHORTEST} to {LONGEST} bytes, not {len(key)}")
    return key


def headers_signed(*, id: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of an attempt at `at`, with one signature by each secret."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join([id.encode(), timestamp.encode(), body])
    signatures = (
        base64.b64encode(hmac.new(secret_bytes(each), signed, hashlib.sha256).digest()).decode()
        for each in secrets
    )
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
