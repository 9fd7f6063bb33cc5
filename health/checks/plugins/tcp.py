"""TCP: a port that accepts, and, where the check says what to expect, a server that answers.

A connection alone proves little: the kernel accepts for a process that is stopped. So a check
without `expect` says in its output that only the connection is known to work; it does notice a
server that closes or resets at once. `expect` alone waits for what the server says by itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from health.checks.base import CheckKind, Context, Failed, Finding, Observed, kind
from health.checks.options import OptionError, require_host, require_range
from health.checks.reaching import connected, network_failures, place, reach
from health.checks.secrecy import secret_parts
from health.checks.words import one_line, without

_LONGEST: Final = 65_536
# Seconds in which a server that closes what it accepted has done so.
_SETTLE: Final = 0.25


@dataclass(frozen=True)
class TcpOptions:
    """Options of a TCP check: `expect` must stand in what the server says after `send`."""

    host: str
    port: int
    send: str | None = None
    expect: str | None = None


@kind("tcp", "TCP")
class TcpCheck(CheckKind[TcpOptions]):
    Options = TcpOptions
    # It may hold a password in the words of some protocol.
    secrets = frozenset({"send"})

    def validate(self, options: TcpOptions) -> None:
        require_host("host", options.host)
        require_range("port", options.port, 1, 65_535)
        for name in ("send", "expect"):
            text = getattr(options, name)
            if text is not None and not 0 < len(text.encode()) <= _LONGEST // 2:
                raise OptionError(name, f"must have 1 to {_LONGEST // 2} bytes")
        if options.send is not None and options.expect is None:
            raise OptionError("expect", "must be set beside send: what is the answer?")

    def hosts(self, options: TcpOptions) -> tuple[tuple[str, int], ...]:
        return ((options.host, options.port),)

    async def run(self, options: TcpOptions, context: Context) -> Finding:
        if not context.deep:
            return await reach(context, options.host, options.port)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with connected(context, options.host, options.port) as (reader, writer):
            connect_ms = (loop.time() - began) * 1000
            observed = {"connect": Observed(connect_ms, "ms")}
            with network_failures(place(options.host, options.port)):
                if options.expect is None:
                    words = await _settle(reader, min(_SETTLE, context.timeout / 4))
                    return Finding(output=words, observed=observed, latency_ms=connect_ms)
                context.doing("waiting for the expected answer")
                if options.send is not None:
                    writer.write(options.send.encode())
                    await writer.drain()
                words = await _expected(reader, options)
                return Finding(output=words, observed=observed)


async def _settle(reader: asyncio.StreamReader, seconds: float) -> str:
    """See whether the server keeps what it accepted."""
    try:
        async with asyncio.timeout(seconds):
            said = await reader.read(1024)
    except TimeoutError:
        return "Accepts connections; nothing was asked, so no more is known"
    if not said:
        raise Failed("Accepted the connection and closed it at once")
    return f"Accepts connections and says “{_shown(said)}”"


async def _expected(reader: asyncio.StreamReader, options: TcpOptions) -> str:
    wanted = (options.expect or "").encode()
    said = b""
    while wanted not in said:
        more = await reader.read(4096)
        said += more
        if not more or len(said) > _LONGEST:
            raise Failed(without(_missing(said, options, ended=not more), *_secrets(options)))
    return f"Answered with “{_shown(wanted)}”"


def _missing(said: bytes, options: TcpOptions, *, ended: bool) -> str:
    wanted = _shown((options.expect or "").encode())
    if not said:
        return f"Closed the connection without a word, expected “{wanted}”"
    if not ended:
        return f"Said {len(said)} bytes without “{wanted}”"
    return f"Said “{_shown(said)}” and closed the connection, expected “{wanted}”"


def _secrets(options: TcpOptions) -> set[str]:
    return secret_parts(options.send) - secret_parts(options.expect)


def _shown(said: bytes) -> str:
    return one_line(said[:400].decode(errors="replace"), 80)
