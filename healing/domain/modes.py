"""Modes by how far they go: observe < suggest < approve < auto."""

from __future__ import annotations

from typing import Final

OBSERVE: Final = "observe"
SUGGEST: Final = "suggest"
APPROVE: Final = "approve"
AUTO: Final = "auto"
MODES: Final = (OBSERVE, SUGGEST, APPROVE, AUTO)


def most_careful(*modes: str) -> str:
    """The most careful of them; raises `ValueError` for what is no mode."""
    return min(modes, key=MODES.index)


def next_above(mode: str) -> str | None:
    """The next mode that goes further; None above auto."""
    place = MODES.index(mode) + 1
    return MODES[place] if place < len(MODES) else None
