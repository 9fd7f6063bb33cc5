"""The analytics part of the API."""

from __future__ import annotations

from analytics.api import chains, errors, services

routers = [("", errors.router), ("", chains.router), ("", services.router)]
