"""Only pages of this very site may open its sockets with their user's cookies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

Application = Callable[..., Awaitable[None]]


class SameOrigin:
    """Refuses sockets that a page of another origin opens, and unknown host names.

    Stricter than Channels' own validator: another port of an allowed host is another site, and
    `*` as allowed host does not allow every page of the web. A client that is no browser sends no
    origin, and has no cookies of somebody else to abuse.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        allowed = same_origin(headers.get(b"host", ""), headers.get(b"origin"))
        application = self._application if allowed else WebsocketDenier()
        await application(scope, receive, send)


def same_origin(host: str, origin: str | None) -> bool:
    """Whether a page of `origin` may talk to the site under the name `host`."""
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return False
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == host.lower() or (
        origin in settings.CSRF_TRUSTED_ORIGINS
    )
