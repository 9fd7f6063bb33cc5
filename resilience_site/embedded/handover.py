"""From `manage.py up` to the launcher, a program of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from resilience_site.config import config
from resilience_site.embedded.programs import ROOT


def become_launcher(options: Sequence[str]) -> NoReturn:
    """Replace this process by the launcher, which has no use for what Django has loaded."""
    # Told before the folder changes, as it may be relative.
    state = str(config.resilience_state_dir)
    os.chdir(ROOT)
    os.execve(  # noqa: S606
        sys.executable,
        [sys.executable, "-m", "resilience_site.embedded.launcher", *options],
        {**os.environ, "RESILIENCE_STATE_DIR": state},
    )
