"""The ASGI application: probes, control and telemetry in front, then live sockets, then Django."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter

from analytics.ingest.gateway import OtlpGateway
from breakers.control.gateway import ControlGateway
from resilience_site import otel
from resilience_site.live.lifespan import lifespan_application
from resilience_site.live.routing import websocket_application
from resilience_site.probes.views import with_livez

otel.setup("web")

# A long poll is no request whose duration says anything, so it stays out of the site's traces.
application = with_livez(
    ControlGateway(
        otel.observed(
            ProtocolTypeRouter(
                {
                    "http": OtlpGateway(django_application),
                    "websocket": websocket_application,
                    "lifespan": lifespan_application,
                }
            )
        )
    )
)
