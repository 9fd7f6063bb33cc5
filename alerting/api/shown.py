"""Times in bodies, as the paths of alerting read them."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def moment(value: Any) -> Any:
    """A text that is a time becomes one; anything else is left for the service to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value
