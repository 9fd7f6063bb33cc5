"""A bus with systemd's manager on it, which keeps the state of units and speaks D-Bus."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    Parser,
    new_error,
    new_method_return,
    new_signal,
)

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = DBusAddress(_PATH, _NAME, f"{_NAME}.Manager")
_PIDS = itertools.count(7000)


@dataclass
class Service:
    """A service; `ignores_stop`: it stays until it is killed; `crashes`: it fails once started;
    `job`: how a restart of it ends instead."""

    name: str
    ignores_stop: bool = False
    crashes: bool = False
    job: str = "done"
    starts_after: float = 0.0
    active: str = "active"
    sub: str = "running"
    invocation: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    pid: int = field(default_factory=lambda: next(_PIDS))
    entered: int = field(default_factory=lambda: int(time.time() * 1e6))
    result: str = "success"
    killed: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        # Its state last: who looks meanwhile must not see the old instance run.
        self.invocation, self.entered = uuid.uuid4().bytes, int(time.time() * 1e6)
        self.pid = 0 if self.crashes else next(_PIDS)
        self.result = "exit-code" if self.crashes else "success"
        self.sub = "failed" if self.crashes else "running"
        self.active = "failed" if self.crashes else "active"

    @property
    def path(self) -> str:
        return f"{_PATH}/unit/{''.join(f'_{ord(c):02x}' if c in '-.@' else c for c in self.name)}"

    def properties(self, interface: str) -> dict[str, tuple[str, Any]]:
        if interface.endswith(".Service"):
            return {"MainPID": ("u", self.pid), "Result": ("s", self.result)}
        return {
            "Id": ("s", self.name),
            "LoadState": ("s", "loaded"),
            "ActiveState": ("s", self.active),
            "SubState": ("s", self.sub),
            "InvocationID": ("ay", self.invocation),
            "ActiveEnterTimestamp": ("t", self.entered if self.active == "active" else 0),
        }


class Refusal(Exception):
    """An error of D-Bus, by its name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text


class Bus:
    """systemd at a bus of its own: every connection is served by a thread."""

    def __init__(self, *services: Service) -> None:
        self.services = {each.name: each for each in services}
        # Methods that are answered by an error, or never (None), or with any bytes.
        self.faults: dict[str, Refusal | bytes | None] = {}
        self.called: list[str] = []
        self._jobs = itertools.count(1)

    @contextlib.contextmanager
    def at(self, path: Path) -> Iterator[None]:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            yield
            # A thread that waits in accept() is woken by nothing else.
            listener.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                opened, _ = listener.accept()
                threading.Thread(target=self._serve, args=(opened,), daemon=True).start()

    def _serve(self, opened: socket.socket) -> None:
        with contextlib.suppress(OSError), opened:
            client = _Client(opened)
            client.greet()
            while True:
                self._answer(client, client.next())

    def _answer(self, client: _Client, message: Message) -> None:
        method = message.header.fields[HeaderFields.member]
        self.called.append(method)
        if method in self.faults:
            fault = self.faults[method]
            if isinstance(fault, Refusal):
                client.send(new_error(message, fault.name, "s", (fault.text,)))
            elif fault is not None:
                client.opened.sendall(fault)
            return
        try:
            signature, body = getattr(self, f"_{method.lower()}")(client, message)
        except Refusal as refused:
            client.send(new_error(message, refused.name, "s", (refused.text,)))
        else:
            client.send(new_method_return(message, signature, body))

    def _hello(self, client: _Client, message: Message) -> tuple[str, tuple[Any, ...]]:
        return "s", (":1.7",)

    def _addmatch(self, client: _Client, message: Message) -> tuple[None, tuple[()]]:
        assert "member='JobRemoved'" in message.body[0]
        client.matches = True
        return None, ()

    def _subscribe(self, client: _Client, message: Message) -> tuple[None, tuple[()]]:
        if client.subscribed:
            raise Refusal(f"{_NAME}.AlreadySubscribed", "Client is already subscribed.")
        client.subscribed = True
        return None, ()

    def _service(self, name: str) -> Service:
        if name not in self.services:
            raise Refusal(f"{_NAME}.NoSuchUnit", f"Unit {name} not found.")
        return self.services[name]

    def _loadunit(self, client: _Client, message: Message) -> tuple[str, tuple[Any, ...]]:
        name = message.body[0]
        return "o", (self.services[name].path if name in self.services else f"{_PATH}/unit/none",)

    def _getall(self, client: _Client, message: Message) -> tuple[str, tuple[Any, ...]]:
        path = message.header.fields[HeaderFields.path]
        found = [each for each in self.services.values() if each.path == path]
        if not found:
            return "a{sv}", ({"LoadState": ("s", "not-found")},)
        return "a{sv}", (found[0].properties(message.body[0]),)

    def _killunit(self, client: _Client, message: Message) -> tuple[None, tuple[()]]:
        name, who, number = message.body
        assert (who, number) == ("all", 9)
        self._service(name).killed.set()
        return None, ()

    def _restartunit(self, client: _Client, message: Message) -> tuple[str, tuple[Any, ...]]:
        name, mode = message.body
        assert mode == "replace"
        service, number = self._service(name), next(self._jobs)
        if service.job == "done":
            # Before the answer: a thread may take its time to begin.
            service.active, service.sub = (
                ("deactivating", "stop-sigterm")
                if service.ignores_stop
                else ("activating", "start")
            )
        job = f"{_PATH}/job/{number}"
        work = (client, service, number, job)
        threading.Thread(target=self._run, args=work, daemon=True).start()
        return "o", (job,)

    def _run(self, client: _Client, service: Service, number: int, job: str) -> None:
        # The answer to the call goes first.
        time.sleep(0.02)
        if service.job == "done":
            if service.ignores_stop:
                service.killed.wait(600)
                service.active, service.sub = "activating", "start"
            time.sleep(service.starts_after)
            service.start()
        body = (number, job, service.name, service.job)
        with contextlib.suppress(OSError):
            if client.subscribed and client.matches:
                # Of another job first: signals of all jobs come to all.
                other = (number + 1000, f"{_PATH}/job/{number + 1000}", "other.service", "failed")
                client.send(new_signal(_MANAGER, "JobRemoved", "uoss", other))
                client.send(new_signal(_MANAGER, "JobRemoved", "uoss", body))


class _Client:
    """The bus's side of one connection."""

    def __init__(self, opened: socket.socket) -> None:
        self.opened = opened
        self.subscribed = self.matches = False
        self._parser = Parser()
        self._serials = itertools.count(1)
        self._lock = threading.Lock()

    def greet(self) -> None:
        """The authentication of a bus: the credentials of the socket are enough."""
        with self.opened.makefile("rwb", buffering=0) as lines:
            assert lines.read(1) == b"\x00"
            assert _line(lines).startswith(b"AUTH EXTERNAL")
            lines.write(b"OK 1234deadbeef\r\n")
            assert _line(lines) == b"BEGIN"

    def next(self) -> Message:
        while (message := self._parser.get_next_message()) is None:
            data = self.opened.recv(65_536)
            if not data:
                raise ConnectionResetError
            self._parser.add_data(data)
        return message

    def send(self, message: Message) -> None:
        with self._lock:
            self.opened.sendall(message.serialise(next(self._serials)))


def _line(lines: Any) -> bytes:
    """Byte by byte: what comes after is no line."""
    found = b""
    while not found.endswith(b"\r\n"):
        byte = lines.read(1)
        if not byte:
            raise ConnectionResetError
        found += byte
    return found.strip()
