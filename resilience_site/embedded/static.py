"""Static files are collected when one of them has changed since the last time."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command

# Files of htmx extensions refer to modules that the package does not carry.
IGNORED = ["ext"]
_MARK = "collected.sha256"


def collect_if_changed() -> str:
    """Collect into STATIC_ROOT if needed; says what was done."""
    folder = Path(settings.STATIC_ROOT)
    mark = folder.parent / _MARK
    wanted = _fingerprint()
    is_kept = folder.exists() and mark.exists() and mark.read_text(encoding="ascii") == wanted
    if is_kept:
        return "static files are unchanged"
    output = io.StringIO()
    call_command(
        "collectstatic",
        interactive=False,
        clear=True,
        verbosity=1,
        ignore_patterns=IGNORED,
        stdout=output,
    )
    mark.write_text(wanted, encoding="ascii")
    return output.getvalue().strip().splitlines()[-1]


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{settings.STATIC_ROOT} {sys.version}".encode())
    for package in ("django", "whitenoise"):
        digest.update(f"{package} {version(package)}\n".encode())
    for name, path in sorted(_files()):
        found = path.stat()
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files() -> Iterator[tuple[str, Path]]:
    for finder in finders.get_finders():
        for name, storage in finder.list(IGNORED):
            yield name, Path(storage.path(name))
