"""An installed Chromium, and what a page must never do in it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

# The first is the engine alone, which takes a third less of the processor.
PROGRAMS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A page of a busy machine loads four dozen files, each after a stall of its own.
ACTION_MILLISECONDS = 60_000
LAUNCH_MILLISECONDS = 120_000
_INLINE_SCHEMES = ("data", "blob", "about")


def program() -> str:
    """The browser's path; without one the test is skipped, or fails under REQUIRE_BROWSER=1."""
    for name in PROGRAMS:
        if path := shutil.which(name):
            return path
    reason = f"no browser on PATH ({', '.join(PROGRAMS)})"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program(), headless=True, args=FLAGS, timeout=LAUNCH_MILLISECONDS
        )
        yield running
        running.close()


class Complaints:
    """Errors on the console, uncaught exceptions, and requests that leave the site's origin."""

    def __init__(self, url: str) -> None:
        self._origin = urlsplit(url).netloc
        self._found: list[str] = []
        self._allowed: list[str] = []

    def watch(self, page: Page) -> None:
        """Listen to everything that the page reports; violations of the policy are errors too."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._found.append(f"uncaught: {error}"))
        page.on("request", self._on_request)

    def allow(self, pattern: str) -> None:
        """Expect complaints that match, as of an answer 404 that the test asks for."""
        self._allowed.append(pattern)

    def rest(self) -> list[str]:
        """What nobody expected."""
        return [
            found
            for found in self._found
            if not any(re.search(pattern, found) for pattern in self._allowed)
        ]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            place = message.location.get("url", "")
            self._found.append(f"console: {message.text} ({place})")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in _INLINE_SCHEMES and parts.netloc != self._origin:
            self._found.append(f"left the origin: {request.url}")
