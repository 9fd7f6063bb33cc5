"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from resilience_site.core import wakeup


def site_context(request: HttpRequest) -> dict[str, Any]:
    """The address under which this request reached the site, for snippets to paste, and whether
    pages learn late of what happens."""
    late = {"is_late": wakeup.pulse.silent}
    try:
        host = request.get_host()
    except DisallowedHost:
        # The page that refuses such a request is rendered with this context too.
        return {"site_url": "", **late}
    return {"site_url": f"{request.scheme}://{host}", **late}
