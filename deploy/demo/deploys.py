"""Versions of the demo's services, and deploys of a new one of the planner.

What is deployed stands in a file, as a cluster's manifest would say it. The planner ends when the
file names another version than it runs; the supervisor then starts it as that one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

AGENT = "1.8.2"
PLANNER = "2.4.0"


def deployed(path: str) -> str:
    """The version of the planner that the file at `path` names, the first one without a file."""
    file = Path(path)
    return file.read_text().strip() if path and file.is_file() else PLANNER


def deploy(path: str) -> str:
    """Name the next patch version in the file at `path`, and return it."""
    minor, _, patch = deployed(path).rpartition(".")
    version = f"{minor}.{int(patch) + 1}"
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text(version)
    # Whoever reads it meanwhile sees the old version or the new one, never a part.
    written.replace(file)
    return version


async def replaced(path: str, version: str, seconds: float = 1.0) -> None:
    """Return once another version than `version` is deployed, asked every `seconds`."""
    while True:
        if deployed(path) != version:
            return
        await asyncio.sleep(seconds)
