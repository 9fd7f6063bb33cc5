"""The control plane's part of the API."""

from __future__ import annotations

from breakers.api import breakers, figures, modes, policies

# The paths of single breakers come last: their names may hold slashes.
routers = [
    ("", figures.router),
    ("", modes.router),
    ("", policies.router),
    ("", breakers.router),
]
