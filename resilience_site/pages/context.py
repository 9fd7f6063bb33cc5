"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest


def site_context(request: HttpRequest) -> dict[str, Any]:
    """The address under which this request reached the site, for snippets to paste."""
    try:
        host = request.get_host()
    except DisallowedHost:
        # The page that refuses such a request is rendered with this context too.
        return {"site_url": ""}
    return {"site_url": f"{request.scheme}://{host}"}
