"""The part of the API that is about health."""

from __future__ import annotations

from health.api import incidents

routers = [
    ("", incidents.router),
]
