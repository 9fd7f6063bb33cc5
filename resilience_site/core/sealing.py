"""Secrets at rest: sealed with a key made from SECRET_KEY, so that a copy of the database alone
tells none of them."""

from __future__ import annotations

import base64
import functools

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class UnsealError(Exception):
    """The text was sealed with another SECRET_KEY, or is damaged."""


def seal(text: str) -> str:
    """`text`, encrypted and signed (Fernet)."""
    return _fernet(settings.SECRET_KEY).encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """The text that was sealed; keys of SECRET_KEY_FALLBACKS open too. Raises `UnsealError`."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _fernet(key).decrypt(sealed.encode()).decode()
        except InvalidToken:
            continue
    raise UnsealError("It was sealed with another SECRET_KEY; enter the secret again.")


@functools.lru_cache(maxsize=4)
def _fernet(secret: str) -> Fernet:
    derive = HKDF(hashes.SHA256(), 32, salt=None, info=b"resilience-site sealing")
    return Fernet(base64.urlsafe_b64encode(derive.derive(secret.encode())))
