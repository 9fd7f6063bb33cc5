"""Asking for pages without a browser."""

from __future__ import annotations

import re

from django.test import Client

LISTS = ["/", "/errors", "/patterns", "/chains", "/services", "/services/map"]
PARTIAL = {"HX-Request": "true"}


def text_of(
    client: Client, path: str, status: int = 200, headers: dict[str, str] | None = None
) -> str:
    """The HTML of a page with its white space squeezed."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, (path, answer.status_code)
    return re.sub(r"\s+", " ", answer.content.decode())
