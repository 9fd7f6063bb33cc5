"""Documents that can be kept as JSON in PostgreSQL: plain values alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_LARGEST: Final = 2**63

# Of values in each other; JSON's writers and readers go no further than some hundreds.
_DEEPEST: Final = 50

Place = tuple[str | int, ...]


def unplain(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """What in a document could not be kept, with its place and the reason."""
    if len(place) > _DEEPEST:
        yield place[:3], f"holds values more than {_DEEPEST} deep in each other."
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                yield (*place, str(key)), f"the key {key!r} is no text; put it in quotes."
            elif _UNSTORABLE.search(key):
                yield place, "a key holds a character that cannot be kept."
            yield from unplain(each, (*place, str(key)))
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from unplain(each, (*place, n))
    elif isinstance(value, str):
        if _UNSTORABLE.search(value):
            yield place, "holds a character that cannot be kept."
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield place, "is no finite number."
    elif isinstance(value, int):
        if abs(value) >= _LARGEST:
            yield place, "is too large a number."
    elif value is not None:
        yield place, f"is a {type(value).__name__}, not JSON; put it in quotes for a text."
