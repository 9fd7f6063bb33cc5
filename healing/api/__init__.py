"""The part of the API for self-healing."""

from __future__ import annotations

from ninja import Router

from healing.api import opportunities, runs

routers: list[tuple[str, Router]] = [
    ("", runs.router),
    ("", opportunities.router),
]
