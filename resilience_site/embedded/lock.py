"""One site at a time on a state directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resilience_site.embedded.errors import StartError


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Hold the state directory; raises StartError when another launcher does."""
    # Closed on exec, so that it is free as soon as the launcher ends, however it ends.
    descriptor = os.open(state / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            raise StartError(
                f"A site runs already on {state} (process {holder}): stop it, or set"
                " RESILIENCE_STATE_DIR to another folder."
            ) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)
