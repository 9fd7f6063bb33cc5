"""Numbers as forms send them."""

from __future__ import annotations


def whole_number(text: str) -> int | str:
    """A whole number, or what was written in its place, for the service to refuse."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
