"""Versions of what a request changes: `If-Match` in, `ETag` out."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse

from resilience_site.core.problems import Malformed

_TAG = re.compile(r'(?:W/)?"?([0-9]{1,18})"?', re.ASCII)


def if_match(request: HttpRequest) -> int | None:
    """The version that the caller saw, None where it does not say. Raises `Malformed`."""
    header = request.headers.get("If-Match", "").strip()
    if header in ("", "*"):
        return None
    found = _TAG.fullmatch(header)
    if found is None:
        raise Malformed('If-Match names a version as the ETag did: "7".')
    return int(found[1])


def set_version(response: HttpResponse, version: int | None) -> None:
    """Tell the version of what is answered."""
    if version is not None:
        response.headers["ETag"] = f'"{version}"'
