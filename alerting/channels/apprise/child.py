"""The process that runs Apprise: reads one question as JSON, sends, and writes an answer.

Every connection is judged as it is made, so that neither a name's second answer nor anything that
Apprise does leads elsewhere. Nothing else is to be had from this process: no other program, no
socket of this machine, no file outside of Python's own and those that networking needs.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(_ROOT))

import apprise  # noqa: E402

from resilience_site.core.judging import judge  # noqa: E402

_FORBIDDEN = frozenset(
    {
        "subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system",
        "pty.spawn", "syslog.openlog", "syslog.syslog", "socket.bind",
    }
)  # fmt: skip
_READABLE = tuple(
    str(each)
    for each in (
        Path(sys.prefix), Path(sys.base_prefix), Path("/etc/ssl"), Path("/usr/share"),
        Path("/usr/lib"), Path("/etc/hosts"), Path("/etc/mime.types"), Path("/dev/urandom"),
        Path("/dev/null"),
    )
)  # fmt: skip


class Refused(OSError):
    """What Apprise wanted to do is not allowed."""


class _Guard:
    """An audit hook; `why` keeps the first refusal, as Apprise makes its own words of errors."""

    def __init__(self, *, allow_private: bool) -> None:
        self.allow_private = allow_private
        self.why = ""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            self._judge(arguments[1])
        elif event == "open":
            self._look(arguments[0], arguments[1])
        elif event in _FORBIDDEN:
            self._refuse(f"it may not use {event}")

    def _judge(self, address: Any) -> None:
        if not isinstance(address, tuple):
            self._refuse("it may not use sockets of this machine")
        try:
            literal = ipaddress.ip_address(str(address[0]).partition("%")[0])
        except ValueError:
            self._refuse(f"{address[0]} is no address")
        reason = judge(literal, allow_private=self.allow_private)
        if reason:
            self._refuse(reason)

    def _look(self, path: Any, mode: Any) -> None:
        if not isinstance(path, str | bytes):
            return
        text = path.decode(errors="replace") if isinstance(path, bytes) else path
        whole = str(Path(text).resolve())
        if set(str(mode or "r")) & set("wax+") or not whole.startswith(_READABLE):
            self._refuse("it may not use files")

    def _refuse(self, why: str) -> None:
        self.why = self.why or why
        raise Refused(why)


def main() -> None:
    question = json.load(sys.stdin)
    logging.getLogger("apprise").setLevel(logging.WARNING)
    asset = apprise.AppriseAsset(plugin_paths=[], async_mode=False)
    service = apprise.Apprise.instantiate(question["url"], asset=asset, suppress_exceptions=True)
    said: dict[str, Any] = {"known": service is not None}
    if service is not None and "body" in question:
        said |= _sent(service, question)
    json.dump(said, sys.stdout)


def _sent(service: Any, question: dict[str, Any]) -> dict[str, Any]:
    service.redirects = False
    guard = _Guard(allow_private=question["allow_private"])
    sys.addaudithook(guard)
    failure = ""
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:
        try:
            sent = service.notify(
                title=question["title"], body=question["body"], notify_type=question["type"],
                body_format=apprise.NotifyFormat.TEXT,
            )  # fmt: skip
        except Exception as error:
            # Some services let pass what the guard refuses, or what their server does to them.
            sent, failure = False, f"{type(error).__name__}: {error}"
        text = log.getvalue()
    return {
        "sent": bool(sent),
        "refused": "" if sent else guard.why,
        "log": text.strip() or failure,
    }


if __name__ == "__main__":
    main()
