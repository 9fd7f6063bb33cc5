"""The part of the API for alerts and incidents."""

from __future__ import annotations

from ninja import Router

from alerting.api import inbound, incidents, reports

routers: list[tuple[str, Router]] = [
    ("", inbound.router),
    ("", incidents.router),
    ("", reports.router),
]
