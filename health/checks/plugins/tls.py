"""TLS: the handshake, the certificate's host, chain and days until it expires."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from health.checks.base import CheckKind, Context, Failed, Finding, Observed, kind
from health.checks.options import OptionError, require_host, require_range
from health.checks.reaching import connected, reach
from health.checks.tlscontext import tls_context
from health.checks.words import one_line

_DAY: Final = 86_400.0
_EXPIRED: Final = 10
_OTHER_HOST: Final = (62, 64)


@dataclass(frozen=True)
class TlsOptions:
    """Options of a TLS check.

    The certificate must be for `server_name`, or `host` where that is not given, and lead to an
    authority of `ca` (PEM), or of the system's. Fewer days until it expires than `warn_days`
    degrade, fewer than `fail_days` fail. `alpn` are protocols to offer (`h2`); one must be taken.
    """

    host: str
    port: int = 443
    server_name: str | None = None
    ca: str | None = None
    warn_days: float = 21.0
    fail_days: float = 0.0
    alpn: tuple[str, ...] = ()


@kind("tls", "TLS certificate")
class TlsCheck(CheckKind[TlsOptions]):
    Options = TlsOptions

    def validate(self, options: TlsOptions) -> None:
        require_host("host", options.host)
        require_range("port", options.port, 1, 65_535)
        if options.server_name is not None:
            require_host("server_name", options.server_name)
        require_range("fail_days", options.fail_days, 0, 3650)
        require_range("warn_days", options.warn_days, 0, 3650)
        if options.warn_days < options.fail_days:
            raise OptionError("warn_days", "must not be below fail_days")
        if any(not 0 < len(each.encode()) < 256 for each in options.alpn):
            raise OptionError("alpn", "must be names of protocols, such as h2")
        tls_context(ca=options.ca, alpn=options.alpn)

    def hosts(self, options: TlsOptions) -> tuple[tuple[str, int], ...]:
        return ((options.host, options.port),)

    async def run(self, options: TlsOptions, context: Context) -> Finding:
        if not context.deep:
            return await reach(context, options.host, options.port)
        try:
            tls = await _handshake(options, context, verify=True)
        except Failed as failed:
            if isinstance(failed.__cause__, ssl.SSLCertVerificationError):
                raise await _explained(failed, failed.__cause__, options, context) from None
            raise
        expires = datetime.fromtimestamp(
            ssl.cert_time_to_seconds(str((tls.getpeercert() or {})["notAfter"])), UTC
        )
        return _judge(options, context.now, expires, tls)


async def _handshake(options: TlsOptions, context: Context, *, verify: bool) -> ssl.SSLObject:
    made = tls_context(ca=options.ca, verify=verify, alpn=options.alpn)
    async with connected(
        context, options.host, options.port, tls=made, server_name=options.server_name
    ) as (_, writer):
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return tls


def _judge(options: TlsOptions, now: datetime, expires: datetime, tls: ssl.SSLObject) -> Finding:
    days = _days(expires, now)
    observed = {"days_left": Observed(days, "d")}
    taken = tls.selected_alpn_protocol()
    if options.alpn and taken is None:
        raise Failed(f"It took none of the protocols {', '.join(options.alpn)}", observed)
    when = f"the certificate expires in {days:.1f} days, on {expires:%Y-%m-%d %H:%M} UTC"
    if days < options.fail_days:
        raise Failed(f"T{when[1:]}; fails below {options.fail_days:g}", observed)
    words = " ".join(filter(None, (tls.version(), taken)))
    if days < options.warn_days:
        output = f"{words}; {when}; warns below {options.warn_days:g}"
        return Finding("degraded", output, observed)
    return Finding(output=f"{words}; {when}", observed=observed)


async def _explained(
    failed: Failed, error: ssl.SSLCertVerificationError, options: TlsOptions, context: Context
) -> Failed:
    """The failure with what its certificate says: a second handshake reads it unverified."""
    try:
        tls = await _handshake(options, context, verify=False)
        certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    except (Failed, ValueError):
        return failed
    expires = certificate.not_valid_after_utc
    observed = {"days_left": Observed(_days(expires, context.now), "d")}
    words = failed.output
    if error.verify_code == _EXPIRED:
        words += f" (on {expires:%Y-%m-%d %H:%M} UTC)"
    elif error.verify_code in _OTHER_HOST:
        words += f" ({_names(certificate)}, not {options.server_name or options.host})"
    return Failed(words, observed)


def _names(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return "it names none"
    return one_line(", ".join(str(each.value) for each in names), 120)


def _days(expires: datetime, now: datetime) -> float:
    return (expires - now).total_seconds() / _DAY
