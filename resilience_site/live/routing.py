"""WebSocket paths, open only to pages of this site's own hosts."""

from __future__ import annotations

from channels.routing import URLRouter
from channels.sessions import CookieMiddleware
from django.urls import path, re_path

from resilience_site.live.consumer import LiveConsumer, UnknownPath
from resilience_site.live.origin import SameOrigin

websocket_application = SameOrigin(
    CookieMiddleware(
        URLRouter(
            [
                path("ws/live/", LiveConsumer.as_asgi()),
                re_path("", UnknownPath.as_asgi()),
            ]
        )
    )
)
