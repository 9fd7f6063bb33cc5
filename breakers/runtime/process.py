"""The one `Resilience` of a process."""

from __future__ import annotations

import threading

from breakers.runtime.resilience import Resilience

_lock = threading.Lock()
_default: Resilience | None = None


def default() -> Resilience:
    """The `Resilience` that the functions of `breakers.runtime` use, made from the environment."""
    global _default
    if _default is None:
        with _lock:
            if _default is None:
                _default = Resilience()
    return _default
