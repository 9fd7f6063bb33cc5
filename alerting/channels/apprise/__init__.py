"""Everything else, by the library Apprise, which is an extra: one URL for each of many services.

It resolves names and opens connections by itself, so it runs in a process of its own, which may
connect to judged addresses alone (`child`), knows nothing of the site's environment, and is killed
at the deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from alerting.channels.base import ATTEMPT_SECONDS, Envelope, Kind, Outcome, kind
from alerting.channels.listing import calling_nobody, why
from alerting.choices import AttemptOutcome
from health.checks.addresses import Addresses
from health.checks.options import OptionError
from health.checks.words import one_line

_CHILD: Final = Path(__file__).with_name("child.py")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{1,31}://")
_STATUS: Final = re.compile(r"error=([1-5][0-9]{2})\b")
_BUSY: Final = frozenset({408, 425, 429})
_TYPES: Final = {"page": "failure", "ticket": "warning", "info": "info"}
_CHECK_SECONDS: Final = 20.0


@dataclass(frozen=True)
class AppriseOptions:
    """`url` is one of Apprise's, such as `discord://…`, a secret as a whole."""

    url: str


@kind("apprise", "Apprise")
class AppriseKind(Kind[AppriseOptions]):
    Options = AppriseOptions
    secrets = frozenset({"url"})

    def missing(self) -> str:
        if importlib.util.find_spec("apprise") is not None:
            return ""
        return "Install it first: .venv/bin/pip install -r requirements/apprise.txt"

    def validate(self, options: AppriseOptions) -> None:
        if not _SCHEME.match(options.url) or any(ord(each) < 32 for each in options.url):
            raise OptionError("url", "must be one URL of Apprise, such as discord://…")

    def verify(self, options: AppriseOptions) -> None:
        """Asks Apprise itself, which knows the form of each service's URLs."""
        try:
            done = subprocess.run(  # noqa: S603
                _command(), input=orjson.dumps({"url": options.url}), env=_environment(),
                capture_output=True, timeout=_CHECK_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise OptionError("url", "could not be looked at in time; try again") from None
        if not _said(done.stdout).get("known"):
            raise OptionError("url", "is none that Apprise knows, or lacks a part of it")

    def destinations(self, options: AppriseOptions) -> tuple[tuple[str, str, int], ...]:
        # Where a service's URL leads is known to Apprise alone; the child judges it.
        return ()

    async def send(
        self, options: AppriseOptions, envelope: Envelope, addresses: Addresses
    ) -> Outcome:
        message = envelope.message
        parts = (calling_nobody(message.text), message.url, calling_nobody(why(envelope)))
        title, body = calling_nobody(message.title), "\n\n".join(each for each in parts if each)
        status = "success" if message.status == "resolved" else _TYPES.get(message.severity, "info")
        shown = {"url": options.url, "type": status, "subject": title, "body": body}
        asked = {
            "url": options.url,
            "title": title,
            "body": body,
            "type": status,
            "allow_private": addresses.allow_private,
        }
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                said = await _asked(asked)
        except TimeoutError:
            error = f"Given up after {ATTEMPT_SECONDS:g} s"
            return Outcome(AttemptOutcome.RETRY, shown, error=error)
        return _outcome(said, shown)


def _outcome(said: dict[str, Any], shown: dict[str, Any]) -> Outcome:
    log = str(said.get("log", ""))
    if said.get("sent"):
        return Outcome(AttemptOutcome.DELIVERED, shown, answer=log)
    if said.get("refused"):
        return Outcome(AttemptOutcome.PERMANENT, shown, answer=log, error=str(said["refused"]))
    found = _STATUS.search(log)
    status = int(found[1]) if found else None
    for_good = status is not None and status < 500 and status not in _BUSY
    verdict = AttemptOutcome.PERMANENT if for_good else AttemptOutcome.RETRY
    error = one_line(log, 300) or "Apprise could not send it, and does not say why"
    return Outcome(verdict, shown, status, log, error)


async def _asked(question: dict[str, Any]) -> dict[str, Any]:
    """What the child says; it does not outlive this."""
    child = await asyncio.create_subprocess_exec(
        *_command(), stdin=PIPE, stdout=PIPE, stderr=PIPE, env=_environment()
    )
    try:
        output, _ = await child.communicate(orjson.dumps(question))
    finally:
        await _ended(child)
    return _said(output)


async def _ended(child: Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGKILL)
        await child.wait()


def _said(output: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(output)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _command() -> list[str]:
    return [sys.executable, "-I", "-B", str(_CHILD)]


def _environment() -> dict[str, str]:
    """Nothing of the site's own: it holds secrets, and proxies that nobody judged."""
    return {"PATH": os.defpath, "LANG": "C.UTF-8"}
