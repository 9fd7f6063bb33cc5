"""The part of the API that is about health."""

from __future__ import annotations

from health.api import catalogue, checks, graph, history, incidents, maintenance, overview, push

routers = [
    ("", overview.router),
    ("", checks.router),
    ("", history.router),
    ("", graph.router),
    ("", maintenance.router),
    ("", catalogue.router),
    ("", push.router),
    ("", incidents.router),
]
