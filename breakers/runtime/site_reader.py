"""Asking the site over its API, off the event loop, with a short limit of time.

It fails open: whoever asks catches `SiteSilent` and goes on by what this process knows. After a
failure the site is left alone for a while, so that its absence costs one wait and not one a call.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from breakers.runtime.control_link import Answer, Link

TIMEOUT = 2.0  # seconds for one answer
REST = 30.0  # seconds for which a site that did not answer is not asked again
_API = "/api/v1/"


class SiteSilent(Exception):
    """The site gave no answer; the message says why, in words for people."""


class SiteRefused(Exception):
    """The site answered that it does not do what was asked; `problem` is what it said (RFC 9457).

    The message is its `detail`, in words for people.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"HTTP {status}"))
        self.status = status
        self.problem = problem


class SiteReader:
    """Asks one site with a key of the scope read (operate, for what changes something there); safe
    to use from any loop."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        service: str = "",
        timeout: float = TIMEOUT,
        rest: float = REST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.service = service
        self._key = key
        self._timeout = timeout
        self._rest = rest
        self._clock = clock
        self._silent: tuple[float, str] = (0.0, "")

    async def get(self, path: str, **query: str) -> Mapping[str, Any] | None:
        """The JSON object at a path below /api/v1/, None where the site has none there.

        Raises SiteSilent, at once while the site is left alone after a failure.
        """
        until, why = self._silent
        if self._clock() < until:
            raise SiteSilent(why)
        address = _API + quote(path) + (f"?{urlencode(query)}" if query else "")
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._ask, address), self._timeout + 1)
        except TimeoutError:
            why = f"{self.url} did not answer within {self._timeout:g} seconds"
        except SiteSilent as error:
            why = str(error)
        self._silent = (self._clock() + self._rest, why)
        raise SiteSilent(why)

    async def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The JSON object that a POST to a path below /api/v1/ is answered with.

        It is sent once. Raises SiteRefused where the site says no, and SiteSilent where it gives no
        answer, or none that can be read: then what was asked for may have been done.
        """
        try:
            return await asyncio.wait_for(
                asyncio.to_thread(self._tell, _API + quote(path), json.dumps(dict(body)).encode()),
                self._timeout + 1,
            )
        except TimeoutError:
            raise SiteSilent(f"{self.url} did not answer within {self._timeout:g} s") from None

    def _tell(self, address: str, body: bytes) -> Mapping[str, Any]:
        headers = {**self._headers, "Content-Type": "application/json"}
        answer = self._exchanged(lambda link: link.post(address, headers, body, self._timeout))
        document = self._object(answer)
        if answer.status >= 400:
            raise SiteRefused(answer.status, document)
        return document

    def _ask(self, address: str) -> Mapping[str, Any] | None:
        answer = self._exchanged(lambda link: link.get(address, self._headers, self._timeout))
        if answer.status == 404:
            return None
        if answer.status in (401, 403):
            raise SiteSilent(
                f"{self.url} refuses the key ({answer.status}); asking needs one with the scope "
                "read, as connect(…, read_key=…)"
            )
        if answer.status != 200:
            raise SiteSilent(f"{self.url} answered {answer.status} {answer.reason}")
        return self._object(answer)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}

    def _exchanged(self, exchange: Callable[[Link], Answer]) -> Answer:
        """What an exchange on a connection of its own was answered with; raises SiteSilent."""
        # Imported here, so that `import breakers.runtime` stays fast.
        from http.client import HTTPException

        from breakers.runtime.control_link import Link

        link = Link(self.url)
        try:
            return exchange(link)
        except TimeoutError:
            raise SiteSilent(f"{self.url} did not answer within {self._timeout:g} s") from None
        except (OSError, HTTPException, ValueError) as error:
            raise self._unusable(error) from None
        finally:
            link.drop()

    def _object(self, answer: Answer) -> Mapping[str, Any]:
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self._unusable(error) from None
        if not isinstance(document, dict):
            raise SiteSilent(f"{self.url} answered {answer.status} {answer.reason}")
        return document

    def _unusable(self, error: Exception) -> SiteSilent:
        return SiteSilent(f"{self.url} gave no usable answer ({error})")


class _State:
    reader: SiteReader | None = None


_state = _State()
_lock = threading.Lock()


def use(reader: SiteReader) -> None:
    """Let this process ask through `reader` from now on."""
    with _lock:
        _state.reader = reader


def forget(reader: SiteReader | None) -> None:
    """Ask no more through `reader`, where it is the one in use."""
    with _lock:
        if _state.reader is reader:
            _state.reader = None


def current() -> SiteReader | None:
    """What this process asks through; None while it is not connected."""
    return _state.reader
