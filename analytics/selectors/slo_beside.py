"""What is read by the same statement as the counts of calls, so that nothing comes in between."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

# Rows of calls have the number of their objective.
BESIDE: Final = -1


@dataclass
class Beside:
    """A statement of rows of `BESIDE` and three texts, which end up in `rows`.

    `minutely` are hours that are read by their minutes, whatever was summed up of them.
    """

    statement: str
    parameters: dict[str, Any]
    minutely: frozenset[datetime] = frozenset()
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def joined(self, statement: str) -> str:
        """Both statements as one."""
        return f"SELECT * FROM ({statement}) AS counts UNION ALL {self.statement}"
