"""What the site asks for and this library does not know: said once each, and passed over."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

_MOST = 1000
_LONGEST = 500  # characters of one line; a document may hold megabytes


class Reports:
    """Warnings in a log, each once; a flood of different ones ends at a thousand."""

    __slots__ = ("_logger", "_told")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[str] = set()

    def once(self, about: str, message: str, *values: object) -> None:
        """Log the warning, unless one `about` the same was logged before."""
        about = about[:_LONGEST]
        if about not in self._told and len(self._told) < _MOST:
            self._told.add(about)
            text = message % values
            self._logger.warning("%s", text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")

    def unknown(self, where: str, given: Iterable[str], known: Collection[str]) -> None:
        """Report the fields of `given` that are not `known`, each once for `where`."""
        for name in given:
            if name not in known:
                self.once(f"field {where} {name}", "%s has the unknown field %r", where, name)
