"""Whole URLs of the site's pages, for whoever reads of them elsewhere."""

from __future__ import annotations

from resilience_site.config import config


def absolute(path: str) -> str:
    """The URL of `path`, which begins with a slash, under RESILIENCE_PUBLIC_URL.

    Raises `ValueError` for anything else: a URL that is whole already stays the caller's.
    """
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(f"{path!r} is no path of this site")
    return config.resilience_public_url + path
