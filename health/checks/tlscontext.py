"""The TLS contexts of clients, made once for each set of options: making one reads all authorities."""

from __future__ import annotations

import functools
import ssl

from health.checks.options import OptionError


@functools.lru_cache(maxsize=256)
def tls_context(
    *, ca: str | None = None, verify: bool = True, alpn: tuple[str, ...] = ()
) -> ssl.SSLContext:
    """`ca` is a PEM text of the authorities that are trusted in place of the system's.

    Raises `OptionError` where that holds no certificate.
    """
    try:
        made = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, TypeError, ValueError):
        raise OptionError("ca", "must be one or more certificates in PEM") from None
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made
