"""The part of the API for self-healing."""

from __future__ import annotations

from ninja import Router

from healing.api import guards, opportunities, preview, runs, targets, workflows

routers: list[tuple[str, Router]] = [
    ("", runs.router),
    ("", opportunities.router),
    ("", workflows.router),
    ("", targets.router),
    ("", guards.router),
    ("", preview.router),
]
