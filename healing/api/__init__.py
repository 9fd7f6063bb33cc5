"""The part of the API for self-healing."""

from __future__ import annotations

from ninja import Router

routers: list[tuple[str, Router]] = []
