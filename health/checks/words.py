"""Texts about targets: one line, bounded, and without secrets."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import Final
from urllib.parse import quote, quote_plus

LONGEST = 300
MASK = "***"


def one_line(text: str, longest: int = LONGEST) -> str:
    """`text` on one line of at most `longest` printable characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def spellings(*secrets: str | None) -> list[str]:
    """Every secret as it is, and as it is spelled in a URL.

    The longest first: a secret that contains another must not leave its rest behind.
    """
    found = {
        each
        for secret in secrets
        if secret
        for each in (secret, quote(secret, ""), quote_plus(secret))
    }
    return sorted(found, key=len, reverse=True)


def without(text: str, *secrets: str | None) -> str:
    """`text` with every secret masked."""
    for each in spellings(*secrets):
        text = text.replace(each, MASK)
    return text


def reason(error: BaseException) -> str:
    """What a failed connection came to, as a clause about the target, without addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE.get(error.verify_code)
        return known or f"its certificate is refused: {one_line(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        code = error.reason or ""
        return _TLS.get(code) or f"TLS failed: {code.replace('_', ' ').lower() or 'no reason'}"
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return "no name server answers for its name"
        return "its name is not known"
    for kind, clause in _CONNECTION.items():
        if isinstance(error, kind):
            return clause
    if isinstance(error, OSError) and error.errno:
        return _BY_ERRNO.get(error.errno) or os.strerror(error.errno).lower()
    return one_line(str(error)) or type(error).__name__


_CONNECTION: Final[dict[type[BaseException], str]] = {
    ConnectionRefusedError: "it refused the connection",
    ConnectionResetError: "it reset the connection",
    BrokenPipeError: "it closed the connection",
    ConnectionAbortedError: "it closed the connection",
    TimeoutError: "it does not answer",
}
_BY_ERRNO: Final = {
    errno.EHOSTUNREACH: "there is no route to the host",
    errno.ENETUNREACH: "there is no route to its network",
}
# Codes of OpenSSL's verification (x509_vfy.h).
_CERTIFICATE: Final = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is self-signed, and not trusted",
    19: "its certificate comes from an authority that is not trusted",
    20: "its certificate's issuer is not known",
    21: "its certificate comes without the chain to its issuer",
    23: "its certificate was revoked",
    62: "its certificate is for another host",
    64: "its certificate is for another address",
}
_TLS: Final = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "UNKNOWN_PROTOCOL": "it does not speak TLS",
    "HTTP_REQUEST": "it does not speak TLS",
    "RECORD_LAYER_FAILURE": "it does not speak TLS",
    "UNSUPPORTED_PROTOCOL": "it speaks no version of TLS that is still allowed",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no version of TLS that is still allowed",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it refused the TLS handshake",
    "TLSV1_ALERT_INTERNAL_ERROR": "its TLS handshake failed",
    "TLSV1_UNRECOGNIZED_NAME": "it knows no host of that name (TLS)",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a client certificate",
    "UNEXPECTED_EOF_WHILE_READING": "it closed the connection during the TLS handshake",
}
