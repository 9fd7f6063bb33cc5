"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def site_context(request: HttpRequest) -> dict[str, Any]:
    """The address under which this request reached the site, for snippets to paste."""
    return {"site_url": f"{request.scheme}://{request.get_host()}"}
