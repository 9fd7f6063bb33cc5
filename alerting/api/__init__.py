"""The part of the API for alerts and incidents."""

from __future__ import annotations

from ninja import Router

routers: list[tuple[str, Router]] = []
