"""The broker of a Celery fleet by its URL, and the judged way to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from health.checks.base import Context, Failed, Observed
from health.checks.options import OptionError, require_host
from health.checks.reaching import (
    judged,
    network_failures,
    place,
    require_authorities,
    require_local_allowed,
)
from health.checks.redislink import RedisServer, redis_server
from health.checks.words import one_line, without

if TYPE_CHECKING:
    from health.checks.brokers import Broker

_AMQP: Final = {"amqp": 5672, "pyamqp": 5672, "amqps": 5671}
_AMQP_PARAMETERS: Final = frozenset({"ssl_cert_reqs", "ssl_ca_certs"})


@dataclass(frozen=True)
class Rabbit:
    host: str
    port: int
    username: str
    password: str
    space: str
    tls: bool
    verified: bool
    trusted: str | None


def broker_of(url: str) -> RedisServer | Rabbit:
    """Reads the URL of a broker; raises `OptionError`."""
    scheme = url.partition("://")[0]
    if scheme not in _AMQP:
        if scheme not in ("redis", "rediss", "unix", "redis+socket"):
            raise OptionError("broker_url", "must be of Redis or AMQP: redis://… or amqp://…")
        return redis_server("broker_url", url)
    try:
        parts = urlsplit(url)
        port = parts.port or _AMQP[scheme]
        asked = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise OptionError("broker_url", "is no valid URL") from None
    if unknown := sorted(set(asked) - _AMQP_PARAMETERS):
        raise OptionError("broker_url", f"must not set {unknown[0]}")
    require_host("broker_url", unquote(parts.hostname or ""))
    return Rabbit(
        host=unquote(parts.hostname or ""),
        port=port,
        username=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        space=unquote(parts.path[1:]) or "/",
        tls=scheme == "amqps",
        verified=asked.get("ssl_cert_reqs", "required").lower().removeprefix("cert_") != "none",
        trusted=asked.get("ssl_ca_certs"),
    )


async def broker_judged(broker: RedisServer | Rabbit, context: Context) -> Broker:
    """How the broker is called, at addresses that may be. Raises `Failed`, and `Forbidden`."""
    # Loaded when it is needed: it brings kombu and its transports.
    from health.checks import brokers

    rabbit = isinstance(broker, Rabbit)
    await require_authorities(broker.trusted)
    local = broker.host.startswith("/")
    if local:
        require_local_allowed(context, broker.host)
    addresses = [broker.host] if local else await judged(context, broker.host, broker.port)
    return brokers.Broker(
        scheme="amqp" if rabbit else "redis",
        host=broker.host,
        port=broker.port,
        username=broker.username,
        password=broker.password,
        space=broker.space if isinstance(broker, Rabbit) else str(broker.db),
        tls=broker.tls,
        verified=broker.verified,
        trusted=broker.trusted,
        addresses=tuple(addresses),
    )


def broker_failure(
    error: Exception, broker: RedisServer | Rabbit, observed: Mapping[str, Observed] | None = None
) -> Failed:
    """What one of `brokers.BROKER_ERRORS` says of the broker. Raises what says nothing of it."""
    where = place(broker.host, broker.port)
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(cause, OSError):
        try:
            with network_failures(f"The broker {where}"):
                raise cause
        except Failed as failed:
            return failed
    said = without(f"The broker {where} refuses: {one_line(str(error))}", broker.password)
    return Failed(said, observed)
