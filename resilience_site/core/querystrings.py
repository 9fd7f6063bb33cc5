"""Links to the same screen with another question: filters, order and range live in the address."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

# Parameters that say where in a list one is: a new question starts at the beginning.
PLACE_OF_OPEN: Final = "open_after"
PLACE: Final = ("cursor", "page", PLACE_OF_OPEN)


def query_pairs(query: QueryDict) -> list[tuple[str, str]]:
    """All parameters in order, repeated ones too."""
    return [(name, value) for name, values in query.lists() for value in values]


def query_with(query: QueryDict, **changes: str | None) -> str:
    """The query string with `changes` (None takes a parameter away), from the list's beginning."""
    kept = [pair for pair in query_pairs(query) if pair[0] not in changes and pair[0] not in PLACE]
    added = [(name, value) for name, value in changes.items() if value is not None]
    return f"?{urlencode(kept + added)}"
