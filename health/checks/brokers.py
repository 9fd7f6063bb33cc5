"""Asking the workers of a Celery fleet whether they are there, through their broker.

Celery's own library (kombu) does this, and it blocks: it runs in a thread of its own, on sockets
that we open, to addresses that were judged. Whoever waits may be cancelled; then the sockets are
shut down, no new ones are opened, and the thread ends at once.

Importing this module loads kombu and both of its transports; the check does so when it first runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import amqp
import redis
from amqp.transport import SSLTransport, TCPTransport
from kombu import Connection, Producer
from kombu.exceptions import KombuError
from kombu.pidbox import Mailbox
from kombu.transport import pyamqp
from kombu.transport import redis as kombu_redis

T = TypeVar("T")

# What libraries raise when the broker refuses or is gone.
BROKER_ERRORS = (OSError, KombuError, amqp.AMQPError, redis.RedisError)


@dataclass(frozen=True)
class Broker:
    """A broker: how to sign in (by `scheme` redis or amqp), and the judged way to it.

    `addresses` are addresses, or the one path of a socket.
    """

    scheme: str
    host: str
    port: int
    username: str
    password: str
    space: str  # a database's number, or a virtual host
    tls: bool
    verified: bool
    trusted: str | None
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """The workers that answered, each with the seconds that it took, and what the broker said of
    the queues that it was asked for: messages and consumers, or None where there is no such queue.
    """

    workers: dict[str, float]
    queues: dict[str, tuple[int, int] | None] = field(default_factory=dict)


class _Stopped(Exception):
    """Nobody waits any more."""


class _Wire:
    """The sockets of one run, which another thread may shut down."""

    def __init__(self, broker: Broker, seconds: float) -> None:
        self._broker = broker
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._stopped = False

    def open(self, seconds: float | None) -> socket.socket:
        """A connected socket, whose operations take at most `seconds` each; raises `OSError`."""
        error: OSError | None = None
        for address in self._broker.addresses:
            if self._stopped or time.monotonic() > self._deadline:
                raise _Stopped
            try:
                return self._connect(address, seconds)
            except OSError as caught:
                error = caught
        raise error or OSError("it has no address")

    def _connect(self, address: str, seconds: float | None) -> socket.socket:
        if address.startswith("/"):
            family, where = socket.AF_UNIX, address
        else:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            where = (address, self._broker.port)  # type: ignore[assignment]
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.settimeout(seconds)
        # A second handle on the same connection: TLS takes the first one over.
        handle = opened.dup()
        with self._lock:
            self._handles.append(handle)
        try:
            opened.connect(where)
        except OSError:
            opened.close()
            raise
        if self._stopped:
            opened.close()
            raise _Stopped
        return opened

    def stop(self) -> None:
        """End all that waits on these sockets, and let no new ones be opened."""
        self._stopped = True
        with self._lock:
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()


class _Run(threading.local):
    """The wire of the run in this thread: kombu makes its connections without asking us."""

    wire: _Wire


_run = _Run()


class _RedisConnection(redis.Connection):
    def _connect(self) -> socket.socket:
        return _run.wire.open(self.socket_timeout)


class _RedisTls(redis.SSLConnection, _RedisConnection):
    """TLS on top of our socket; the certificate is still for the name."""


class _RedisChannel(kombu_redis.Channel):
    connection_class = _RedisConnection
    connection_class_ssl = _RedisTls


class _RedisTransport(kombu_redis.Transport):
    Channel = _RedisChannel


class _AmqpPlain(TCPTransport):
    def _connect(self, host: str, port: int, timeout: float) -> None:
        self.sock = _run.wire.open(timeout)


class _AmqpTls(SSLTransport):
    def _connect(self, host: str, port: int, timeout: float) -> None:
        self.sock = _run.wire.open(timeout)


class _AmqpConnection(pyamqp.Connection):
    def Transport(  # noqa: N802 - py-amqp's name
        self,
        host: str,
        connect_timeout: float | None,
        ssl: bool | dict[str, Any] = False,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        socket_settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        return (_AmqpTls if ssl else _AmqpPlain)(
            host,
            connect_timeout=connect_timeout,
            ssl=ssl,
            read_timeout=read_timeout,
            write_timeout=write_timeout,
            socket_settings=socket_settings,
            **options,
        )


class _AmqpTransport(pyamqp.Transport):
    Connection = _AmqpConnection


async def ask(
    broker: Broker, *, exchange: str, queues: Sequence[str], wait: float, seconds: float
) -> Answers:
    """Ping the workers and look at `queues` (AMQP alone), within about `seconds`.

    Answers count until `wait` seconds have passed without one; 0 pings nobody. Raises one of `BROKER_ERRORS`.
    """

    def look(connection: Connection, channel: Any) -> Answers:
        found = {name: _queue(connection, name) for name in queues}
        return Answers(_ping(connection, channel, exchange, wait) if wait else {}, found)

    return await _beside(broker, seconds, look)


async def command(
    broker: Broker,
    name: str,
    arguments: Mapping[str, Any],
    *,
    workers: Sequence[str],
    exchange: str,
    wait: float,
    seconds: float,
) -> dict[str, Any]:
    """Give `workers` a command of remote control, or all of them where none is named; what each
    answered. Ends once all that are named have, or `wait` seconds have passed without an answer.

    Raises one of `BROKER_ERRORS`.
    """

    def give(connection: Connection, channel: Any) -> dict[str, Any]:
        options = {"destination": list(workers) or None, "limit": len(workers) or None}
        return _commanded(connection, channel, exchange, name, dict(arguments), wait, options)

    return await _beside(broker, seconds, give)


async def _beside(broker: Broker, seconds: float, work: Callable[[Connection, Any], T]) -> T:
    """What `work` gives in a thread of its own, which ends with its caller."""
    wire = _Wire(broker, seconds)
    thread = ThreadPoolExecutor(1, thread_name_prefix="celery-ping")
    running = asyncio.get_running_loop().run_in_executor(
        thread, _connected, broker, wire, seconds, work
    )
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        wire.stop()
        # Its error is that it was stopped.
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise
    finally:
        thread.shutdown(wait=False)


def _connected(
    broker: Broker, wire: _Wire, seconds: float, work: Callable[[Connection, Any], T]
) -> T:
    _run.wire = wire
    try:
        connection = _connection(broker, max(0.1, seconds / 2))
        try:
            # Once: kombu would otherwise sleep before it tries again.
            connection.ensure_connection(max_retries=0)
            with connection.channel() as channel:
                try:
                    return work(connection, channel)
                except BROKER_ERRORS:
                    # A channel that is closed waits for what is still to come on its connections.
                    wire.stop()
                    raise
        finally:
            connection.release()
    finally:
        wire.close()


def _connection(broker: Broker, each: float) -> Connection:
    """kombu's connection, none of whose operations takes longer than `each` seconds."""
    tls: dict[str, Any] | bool = False
    transport: type[Any]
    if broker.scheme == "redis":
        if broker.tls:
            tls = {"ssl_cert_reqs": "required" if broker.verified else "none"}
            tls |= {"ssl_check_hostname": broker.verified, "ssl_ca_certs": broker.trusted}
        options = {"socket_timeout": each, "socket_connect_timeout": each}
        transport = _RedisTransport
    else:
        if broker.tls:
            tls = {"server_hostname": broker.host, "ca_certs": broker.trusted}
            tls |= {"cert_reqs": ssl.CERT_REQUIRED if broker.verified else ssl.CERT_NONE}
        options = {"read_timeout": each, "write_timeout": each}
        transport = _AmqpTransport
    return Connection(
        hostname="localhost" if broker.host.startswith("/") else broker.host,
        port=broker.port,
        userid=broker.username or None,
        password=broker.password or None,
        virtual_host=broker.space,
        ssl=tls,
        transport=transport,
        transport_options=options,
        connect_timeout=each,
    )


class _OneTry(Producer):
    """kombu's mailbox asks for endless tries: where the broker dies while the ping is sent, it
    would look for it again each second, and the deadline would be all that is known of it."""

    def publish(self, *args: Any, **options: Any) -> Any:
        return super().publish(*args, **{**options, "retry": False})


class _Mailbox(Mailbox):
    @contextlib.contextmanager
    def producer_or_acquire(self, producer: Any = None, channel: Any = None) -> Iterator[Producer]:
        yield _OneTry(channel, auto_declare=False)


def _ping(connection: Connection, channel: Any, exchange: str, wait: float) -> dict[str, float]:
    """A control broadcast, as `celery inspect ping` sends it."""
    began = time.monotonic()
    workers: dict[str, float] = {}

    def take(reply: Any) -> None:
        if isinstance(reply, dict):
            for name in reply:
                workers.setdefault(str(name), time.monotonic() - began)

    _commanded(connection, channel, exchange, "ping", {}, wait, {"callback": take})
    return workers


def _commanded(
    connection: Connection,
    channel: Any,
    exchange: str,
    name: str,
    arguments: dict[str, Any],
    wait: float,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Replies to a control broadcast, by worker."""
    box = _Mailbox(exchange, type="fanout", accept=["json"], serializer="json")
    mailbox: Any = box(connection)
    try:
        replies = mailbox._broadcast(
            name, arguments, reply=True, timeout=wait, channel=channel, **options
        )
    finally:
        # Redis forgets a queue for replies only when it is told to.
        with contextlib.suppress(*BROKER_ERRORS, _Stopped):
            mailbox.reply_queue(channel).delete()
    return {
        str(worker): answer
        for reply in replies or []
        if isinstance(reply, dict)
        for worker, answer in reply.items()
    }


def _queue(connection: Connection, name: str) -> tuple[int, int] | None:
    # The broker closes the channel on which it is asked for a queue that does not exist.
    channel: Any
    with connection.channel() as channel:
        try:
            state = channel.queue_declare(queue=name, passive=True)
        except amqp.NotFound:
            return None
    return int(state.message_count), int(state.consumer_count)
