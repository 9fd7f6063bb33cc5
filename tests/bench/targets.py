"""Local targets for the benchmark of checks: an HTTP server and a TCP server on several ports.

Run as a program: prints its ports as JSON once it listens, ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

PORTS = 10
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n"
    b'Connection: close\r\n\r\n{"status":"ok"}'
)


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        writer.write(b"+OK ready\r\n")
        await writer.drain()
        await reader.read(1)
    except OSError:
        pass
    finally:
        writer.close()


async def main() -> None:
    servers = [
        await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
        for serve in (_http, _greeting)
        for _ in range(PORTS)
    ]
    ports = [each.sockets[0].getsockname()[1] for each in servers]
    print(json.dumps({"http": ports[:PORTS], "tcp": ports[PORTS:]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
