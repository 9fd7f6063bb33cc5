"""How the site's own variables are read: URLs, lists, folders, choices and texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from breakers.runtime.variables import Plain

_USERINFO = re.compile(r"^(?P<user>(?>(?:[\w+.-]+:/+)?)[^:]*):.*$", re.DOTALL)
# A pattern of services: * for any characters.
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\*-]{1,240}\.service")
_QUERY_SECRET = re.compile(r"(?i)([?&][^=&#]*(?:pass|secret|token)[^=&#]*=)[^&#]*")


def mask_url(text: str) -> str:
    """The URL without its password, whether in its authority or its query, well-formed or not."""
    head, at, tail = text.rpartition("@")
    if at:
        text = _USERINFO.sub(r"\g<user>:***", head) + at + tail
    return _QUERY_SECRET.sub(r"\1***", text)


@dataclass(frozen=True)
class Text(Plain):
    """Any text of at least `shortest` characters."""

    shortest: int = 1

    @property
    def allowed(self) -> str:
        return f"a text of {self.shortest} characters or more"

    def parse(self, text: str) -> str:
        if len(text) < self.shortest:
            raise ValueError(text)
        return text


@dataclass(frozen=True)
class Choice(Plain):
    """One of a few words, in any case."""

    options: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return " or ".join(self.options)

    def parse(self, text: str) -> str:
        if text.lower() not in self.options:
            raise ValueError(text)
        return text.lower()


@dataclass(frozen=True)
class Url:
    """A URL with one of the schemes."""

    schemes: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return "a URL that begins with " + " or ".join(f"{each}://" for each in self.schemes)

    def parse(self, text: str) -> str:
        parts = urlsplit(text)
        # Reading the port makes urlsplit check it.
        if parts.scheme not in self.schemes or "://" not in text or parts.port == 0:
            raise ValueError(text)
        return text

    def mask(self, text: str) -> str:
        return mask_url(text)


@dataclass(frozen=True)
class Names(Plain):
    """A comma-separated list of host names."""

    allowed: str = "host names separated by commas, without scheme or port (* allows any)"

    def parse(self, text: str) -> list[str]:
        names = [each.strip() for each in text.split(",") if each.strip()]
        if not names or any("/" in each or " " in each for each in names):
            raise ValueError(text)
        return names


@dataclass(frozen=True)
class Endpoints(Plain):
    """A comma-separated list of `host:port`; an IPv6 address stands in brackets."""

    allowed: str = "host:port pairs separated by commas, each like 10.0.0.1:53 or [fd00::1]:53"

    def parse(self, text: str) -> list[tuple[str, int]]:
        found = [urlsplit(f"//{each.strip()}") for each in text.split(",") if each.strip()]
        if not found or any(
            not p.hostname or not p.port or p.path or p.query or p.username is not None
            for p in found
        ):
            raise ValueError(text)
        return [(str(p.hostname), int(p.port or 0)) for p in found]


@dataclass(frozen=True)
class Origins(Plain):
    """A comma-separated list of origins: scheme, host, and port where it is not the usual one."""

    allowed: str = "origins separated by commas, each like https://status.example.com"

    def parse(self, text: str) -> list[str]:
        origins = [each.strip().rstrip("/") for each in text.split(",") if each.strip()]
        parts = [urlsplit(each) for each in origins]
        if not origins or any(
            p.scheme not in ("http", "https") or not p.netloc or p.path for p in parts
        ):
            raise ValueError(text)
        return origins


@dataclass(frozen=True)
class Origin(Plain):
    """One origin: scheme, host, and port where it is not the usual one."""

    allowed: str = "an origin like https://resilience.example.com, without a path"

    def parse(self, text: str) -> str:
        parts = urlsplit(text.rstrip("/"))
        # Reading the port makes urlsplit check it.
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or "@" in parts.netloc
            or parts.path
            or parts.query
            or parts.fragment
            or parts.port == 0
        ):
            raise ValueError(text)
        return text.rstrip("/")


@dataclass(frozen=True)
class Prefixes(Plain):
    """A comma-separated list of beginnings of names."""

    allowed: str = "beginnings separated by commas, each like com.example. or site-packages/acme"

    def parse(self, text: str) -> list[str]:
        found = [each.strip() for each in text.split(",") if each.strip()]
        if not found or any(len(each) < 2 for each in found):
            raise ValueError(text)
        return found


@dataclass(frozen=True)
class Units(Plain):
    """A comma-separated list of systemd's services; `*` stands for any characters."""

    allowed: str = "services separated by commas, each like planner.service or worker@*.service"

    def parse(self, text: str) -> list[str]:
        found = [each.strip() for each in text.split(",") if each.strip()]
        if not found or not all(_UNIT.fullmatch(each) for each in found):
            raise ValueError(text)
        return found


@dataclass(frozen=True)
class Folder(Plain):
    """A folder; made absolute, because processes of the site may start elsewhere."""

    allowed: str = "a folder"

    def parse(self, text: str) -> Path:
        path = Path(text).expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise ValueError(text)
        return path
