"""How the demo's servers end."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def exit_on_signals() -> None:
    """Let SIGTERM and SIGINT end the process in order, with everything closed and flushed."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
