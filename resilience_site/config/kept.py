"""Values that an installation made for itself, kept in its state directory.

Secrets are generated where the environment gives none, once, so that every process and every
later start sees the same ones. The addresses of embedded engines are kept beside them, so that a
command in another terminal finds the running site.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from breakers.runtime.variables import ConfigError

FILE_NAME = "kept.json"


def read(folder: Path) -> dict[str, str]:
    """What is kept in the folder; empty where nothing was kept yet."""
    path = folder / FILE_NAME
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); mend or remove it.") from None
    if not isinstance(kept, dict):
        raise ConfigError(f"{path} does not hold a JSON object; mend or remove it.")
    return {str(name): str(value) for name, value in kept.items()}


def update(folder: Path, change: Callable[[dict[str, str]], Mapping[str, str]]) -> dict[str, str]:
    """Replace what is kept by `change(kept)`, safely against other processes; returns it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / f"{FILE_NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"RESILIENCE_STATE_DIR is '{folder}', but must be a folder that can be written ({error})."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = dict(change(read(folder)))
        _write(folder / FILE_NAME, kept)
    finally:
        os.close(lock)
    return kept


def _write(path: Path, kept: Mapping[str, str]) -> None:
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
