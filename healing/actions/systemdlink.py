"""systemd's manager over D-Bus (org.freedesktop.systemd1): a unit's state, restart and kill."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

from jeepney import DBusAddress, DBusErrorResponse, MatchRule, new_method_call
from jeepney.auth import AuthenticationError
from jeepney.io.blocking import DBusConnection, prep_socket

from healing.actions.base import ActionFailed, Context
from healing.actions.link import ANSWER_SECONDS, NoAnswer, require_local_allowed
from health.checks.addresses import Forbidden
from health.checks.words import one_line, reason

_NAME: Final = "org.freedesktop.systemd1"
_PATH: Final = "/org/freedesktop/systemd1"
_MANAGER: Final = f"{_NAME}.Manager"
_BUS: Final = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
_JOB_REMOVED: Final = {
    "type": "signal", "interface": _MANAGER, "member": "JobRemoved", "path": _PATH,
}  # fmt: skip
_KILL: Final = 9
# Another attempt would end the same.
_FOR_GOOD: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
        "org.freedesktop.systemd1.NoSuchUnit",
        "org.freedesktop.systemd1.LoadFailed",
        "org.freedesktop.systemd1.UnitMasked",
        "org.freedesktop.systemd1.OnlyByDependency",
        "org.freedesktop.systemd1.JobTypeNotApplicable",
    }
)
_GONE: Final = "org.freedesktop.DBus.Error.NoReply"


@dataclass(frozen=True)
class Unit:
    """A service as systemd sees it. `invocation` tells one instance from the next; `entered` is
    since when it is active (microseconds of Unix time, 0 for never)."""

    name: str
    load: str
    active: str
    sub: str
    invocation: str
    entered: int
    pid: int
    result: str

    @property
    def running(self) -> bool:
        return self.active == "active"

    @property
    def settled(self) -> bool:
        """It is not on its way up or down."""
        return self.active not in ("activating", "deactivating", "reloading", "refreshing")

    def told(self) -> str:
        """`planner.service (active (running) since 2026-11-26 23:40:12 UTC, pid 4711)`."""
        since = ""
        if self.running and self.entered:
            moment = datetime.fromtimestamp(self.entered / 1e6, UTC)
            since = f" since {moment:%Y-%m-%d %H:%M:%S} UTC"
        pid = f", pid {self.pid}" if self.pid else ""
        return f"{self.name} ({self.active} ({self.sub}){since}{pid})"

    def kept(self) -> dict[str, Any]:
        """What tells this instance from the next one."""
        return {
            "unit": self.name,
            "invocation": self.invocation,
            "entered": self.entered,
            "pid": self.pid,
        }


class Systemd:
    """A connection to one bus, for the time of a `with`. Calls raise `ActionFailed`."""

    def __init__(self, path: str, context: Context) -> None:
        self._path = path
        self._context = context
        self._removed: deque[Any] = deque()

    def __enter__(self) -> Self:
        try:
            require_local_allowed(self._path, self._context)
        except Forbidden as refused:
            raise ActionFailed(str(refused), permanent=True) from None
        with self._failures():
            self._bus = self._connected()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bus.close()

    def unit(self, name: str) -> Unit:
        """The state of a service; its absence is permanent."""
        (path,) = self._manager("LoadUnit", "s", (name,))
        unit = self._properties(path, f"{_NAME}.Unit")
        if unit.get("LoadState") == "not-found":
            raise ActionFailed(f"systemd knows no {name}", permanent=True)
        service = self._properties(path, f"{_NAME}.Service")
        with self._failures():
            return Unit(
                name=name,
                load=str(unit["LoadState"]),
                active=str(unit["ActiveState"]),
                sub=str(unit["SubState"]),
                invocation=bytes(unit["InvocationID"]).hex(),
                entered=int(unit["ActiveEnterTimestamp"]),
                pid=int(service["MainPID"]),
                result=str(service["Result"]),
            )

    def restart(self, name: str) -> str:
        """Ask for a restart; the job that does it, whose end `job_result` tells."""
        # Else systemd sends no signals; who has subscribed already is told so, and all is well.
        with contextlib.suppress(_Subscribed):
            self._manager("Subscribe")
        rule = MatchRule(**_JOB_REMOVED)
        with self._failures():
            self._bus.filter(rule, queue=self._removed)
        self._call(_BUS, "AddMatch", "s", (rule.serialise(),))
        (job,) = self._manager("RestartUnit", "ss", (name, "replace"))
        return str(job)

    def job_result(self, job: str, seconds: float) -> str:
        """How a job ended (`done`, `failed`, `canceled`, `timeout`, …); empty where it has not
        within `seconds`."""
        until = self._context.clock() + seconds
        while True:
            while self._removed:
                body = self._removed.popleft().body
                if len(body) == 4 and body[1] == job:
                    return str(body[3])
            left = until - self._context.clock()
            if left <= 0:
                return ""
            with self._failures(), contextlib.suppress(TimeoutError):
                self._bus.recv_messages(timeout=left)

    def kill(self, name: str) -> None:
        """KILL to every process of a service."""
        self._manager("KillUnit", "ssi", (name, "all", _KILL))

    def _manager(self, method: str, signature: str = "", body: tuple[Any, ...] = ()) -> Any:
        return self._call(DBusAddress(_PATH, _NAME, _MANAGER), method, signature, body)

    def _properties(self, path: Any, interface: str) -> Mapping[str, Any]:
        address = DBusAddress(str(path), _NAME, "org.freedesktop.DBus.Properties")
        (found,) = self._call(address, "GetAll", "s", (interface,))
        with self._failures():
            return {name: value for name, (_, value) in found.items()}

    def _call(
        self, address: DBusAddress, method: str, signature: str, body: tuple[Any, ...]
    ) -> Any:
        with self._failures():
            message = new_method_call(address, method, signature or None, body)
            answer = self._bus.send_and_get_reply(
                message, timeout=min(ANSWER_SECONDS, self._context.left)
            )
            if answer.header.message_type.name == "error":
                raise DBusErrorResponse(answer)
            return answer.body

    def _connected(self) -> DBusConnection:
        seconds = max(0.001, min(ANSWER_SECONDS, self._context.left))
        opened = prep_socket(self._path, timeout=seconds)
        # The library waits without end for the first answer; a socket that is shut down ends that.
        over = threading.Event()
        end = threading.Timer(seconds, _shut_down, (opened, over))
        end.daemon = True
        end.start()
        try:
            return DBusConnection(opened)
        except BaseException as error:
            opened.close()
            if isinstance(error, ConnectionResetError) and over.is_set():
                raise TimeoutError from None
            raise
        finally:
            end.cancel()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """What goes wrong with the bus, or with what it says, is a failure of the target."""
        try:
            yield
        except DBusErrorResponse as error:
            raise _refused(error) from None
        except TimeoutError:
            raise NoAnswer(f"{self._path} gives no answer") from None
        except OSError as error:
            raise ActionFailed(f"{self._path} cannot be used: {reason(error)}") from None
        except AuthenticationError:
            raise ActionFailed(f"{self._path} does not let this site in", permanent=True) from None
        except (ValueError, LookupError, TypeError, AttributeError, struct.error):
            raise ActionFailed(f"{self._path} gave an answer that systemd never gives") from None


class _Subscribed(ActionFailed):
    """This connection gets signals already."""


def _refused(error: DBusErrorResponse) -> ActionFailed:
    said = one_line(str(error.data[0])) if error.data else error.name
    if error.name == "org.freedesktop.systemd1.AlreadySubscribed":
        return _Subscribed(said)
    if error.name == _GONE:
        return NoAnswer(f"systemd gave no answer: {said}")
    return ActionFailed(
        f"systemd refuses: {said}", permanent=error.name in _FOR_GOOD, output=error.name
    )


def _shut_down(opened: socket.socket, over: threading.Event) -> None:
    over.set()
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
