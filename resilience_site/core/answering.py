"""Database work that somebody waits for: given up once the database answers nobody.

An engine that hangs keeps its connections open and says nothing, and neither PostgreSQL's nor the
pool's limits end that wait. So, where an answer takes long, a new connection is asked for. While
one is granted, the work is only slow, and is waited for. Where none is, whoever waits is told, and
the work's own connection is shut, which ends the wait of its thread too. Of what it had sent to be
committed, nobody knows whether it will be: whoever sends it again must not double it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import psycopg
from django.db import OperationalError, connection, connections

# Together well below the ten seconds after which exporters of telemetry give up.
PATIENCE_SECONDS = 2.5
LOOK_SECONDS = 2.5

T = TypeVar("T")


class Line:
    """The connection of one piece of work, as a context manager of the thread that does it;
    `cut` may be called by any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def __enter__(self) -> None:
        connection.ensure_connection()
        try:
            with connection.wrap_database_errors:
                # A descriptor of our own: that of the connection may be another's when it is cut.
                held = socket.socket(fileno=os.dup(connection.connection.fileno()))
            with self._lock:
                self._socket = held
                if self._is_cut:
                    raise _unanswered()
        except BaseException:
            self._let_go()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._let_go()

    def cut(self) -> None:
        """End the work: its present wait for the database, and any later one, fails."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                # It may have ended by itself.
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        # First, as the pool may give the connection to others at once.
        with self._lock:
            held, self._socket = self._socket, None
        if held is not None:
            held.close()
        if self._is_cut and connection.connection is not None:
            # It may not know yet that it is: the pool would lend it to others.
            connection.connection.close()
        # Back to the pool: the thread may wait for its next work for long.
        connection.close()


async def answered(work: Callable[[Line], T], executor: Executor | None = None) -> T:
    """What `work` returns or raises, done in a thread. It enters the line that it is given for as
    long as it needs the database.

    Raises `OperationalError` where the database answers neither it nor anybody else, also where
    the work still waits for a thread.
    """
    line = Line()
    running = asyncio.get_running_loop().run_in_executor(executor, work, line)
    try:
        while not await _done(running, PATIENCE_SECONDS):
            look = _look()
            either: set[asyncio.Future[Any]] = {running, look}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and not look.result():
                line.cut()
                raise _unanswered()
        return running.result()
    finally:
        # Not begun, it will not be; otherwise nobody asks for its result any more.
        running.cancel()


async def _done(running: asyncio.Future[T], seconds: float) -> bool:
    done, _ = await asyncio.wait({running}, timeout=seconds)
    return bool(done)


def _unanswered() -> OperationalError:
    return OperationalError(f"no answer within {PATIENCE_SECONDS + LOOK_SECONDS:.0f} s")


# However many wait, one look is made for all of them.
_looks: dict[asyncio.AbstractEventLoop, asyncio.Task[bool]] = {}


def _look() -> asyncio.Task[bool]:
    loop = asyncio.get_running_loop()
    look = _looks.get(loop)
    if look is None:
        look = _looks[loop] = loop.create_task(database_answers())
        look.add_done_callback(lambda _: _looks.pop(loop))
    return look


async def database_answers() -> bool:
    """Whether somebody who connects now is let in, in time."""
    parameters = connections["default"].get_connection_params()
    wanted = {
        name: value
        for name, value in parameters.items()
        if name not in ("cursor_factory", "context", "pool")
    }
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            made = await psycopg.AsyncConnection.connect(**wanted)
    except (TimeoutError, psycopg.Error, OSError):
        return False
    await made.close()
    return True
