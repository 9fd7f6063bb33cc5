"""What log messages of one kind have in common: the words before the first value."""

from __future__ import annotations

import re
from functools import lru_cache

from analytics.domain.masking import mask

_READ = 300
# A message says what happened before it says with what; fewer letters than these say too little.
_LETTERS = 12
_VALUE = re.compile(r"<\w+>|=|: ?|\{")


@lru_cache(maxsize=65_536)
def event_of(body: str) -> str:
    """The words of a message up to its first value: what tells one kind of event from another.

    event_of("Order 4711 was not found: {id=4711}") -> "Order <num> was not found"
    """
    masked = mask(body[:_READ])
    for value in _VALUE.finditer(masked):
        if sum(map(str.isalpha, masked[: value.start()])) >= _LETTERS:
            return masked[: value.start()].strip()
    return masked.strip()


_SEVERE = frozenset({"error", "err", "fatal", "critical", "crit", "severe", "alert", "emerg"})
_FIRST_ERROR = 17


def is_severe(severity: str) -> bool:
    """Whether a severity, by name or by OTLP's number, is that of an error."""
    text = severity.strip().lower()
    if text.isdecimal():
        return int(text) >= _FIRST_ERROR
    return text.rstrip("0123456789") in _SEVERE
