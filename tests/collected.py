"""Static files as a deployment has them, collected once for all processes of a test run.

Collecting hashes and packs each of 200 files, which takes ten seconds of a processor.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from django.test import override_settings

from resilience_site.embedded import static
from tests import engines

ROOT = Path(__file__).resolve().parent.parent
_MANIFEST = "staticfiles.json"


def put(folder: Path) -> None:
    """Have all static files in `folder`; collected there where no process of the run did so yet."""
    if (folder / _MANIFEST).exists():
        return
    kept = Path(os.environ[engines.COLLECTED])
    kept.mkdir(exist_ok=True)
    with open(kept / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "static").exists():
            _collect(kept)
    shutil.copytree(kept / "static", folder, dirs_exist_ok=True)


def seed(state: Path) -> Path:
    """A state directory whose site finds its static files collected, as after an earlier start."""
    folder = state / "static"
    put(folder)
    with override_settings(STATIC_ROOT=folder):
        (state / static._MARK).write_text(static._fingerprint(), encoding="ascii")
    return state


def _collect(kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept) as state:
        settings = {
            "RESILIENCE_STATE_DIR": state,
            "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
        }
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v", "0"]
        for pattern in static.IGNORED:
            command += ["-i", pattern]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, check=True)
        # Complete or absent, also where a run is interrupted.
        os.rename(Path(state) / "static", kept / "static")
