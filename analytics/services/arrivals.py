"""When what is stored came to be there."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import monotonic

from analytics.domain.known import known_from


class Arrival:
    """What was received `at` a moment and is being stored since."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._began = monotonic()

    def known_from(self) -> datetime:
        """The first end of a minute that is judged by what is stored now. A store that holds
        requests up for long is no reason to call them timely."""
        return known_from(self.at + timedelta(seconds=monotonic() - self._began))
