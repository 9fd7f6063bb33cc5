"""Texts about targets: one line, bounded, and without secrets."""

from __future__ import annotations

import os
import socket
import ssl
from urllib.parse import quote, quote_plus

LONGEST = 300
MASK = "***"


def one_line(text: str, longest: int = LONGEST) -> str:
    """`text` on one line of at most `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def without(text: str, *secrets: str | None) -> str:
    """`text` with every secret masked, also as it is spelled in a URL."""
    spellings = {
        each
        for secret in secrets
        if secret
        for each in (secret, quote(secret, ""), quote_plus(secret))
    }
    # The longest first: a secret that contains another must not leave its rest behind.
    for each in sorted(spellings, key=len, reverse=True):
        text = text.replace(each, MASK)
    return text


def reason(error: BaseException) -> str:
    """What a failed connection came to, in the operating system's words, without addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return f"the name cannot be resolved: {error.strerror or error}"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return one_line(str(error)) or type(error).__name__
