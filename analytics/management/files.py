"""What the commands ask of the files that they are given."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.management.base import CommandError


def output_apart(target: Path, *sources: Path) -> None:
    """Raise CommandError where the output would be written over an input."""
    for source in sources:
        if target.exists() and source.exists() and os.path.samefile(source, target):
            raise CommandError(f"{target} is the input as well. Give another file as --output.")
