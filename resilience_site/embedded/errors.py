from __future__ import annotations


class StartError(Exception):
    """What keeps the site from starting, as one sentence for whoever starts it."""
