"""What the site asks for and this library does not know: said once each, and passed over."""

from __future__ import annotations

import logging

_MOST = 1000


class Reports:
    """Warnings in a log, each once; a flood of different ones ends at a thousand."""

    __slots__ = ("_logger", "_told")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: set[str] = set()

    def once(self, about: str, message: str, *values: object) -> None:
        """Log the warning, unless one `about` the same was logged before."""
        if about not in self._told and len(self._told) < _MOST:
            self._told.add(about)
            self._logger.warning(message, *values)
