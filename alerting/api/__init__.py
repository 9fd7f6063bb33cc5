"""The part of the API for alerts and incidents."""

from __future__ import annotations

from ninja import Router

from alerting.api import (
    alerts,
    channels,
    inbound,
    incidents,
    inhibitions,
    reports,
    routes,
    rules,
    silences,
)

routers: list[tuple[str, Router]] = [
    ("", silences.router),
    ("", routes.router),
    ("", inhibitions.router),
    ("", rules.router),
    ("", channels.router),
    ("", alerts.router),
    ("", inbound.router),
    ("", incidents.router),
    ("", reports.router),
]
