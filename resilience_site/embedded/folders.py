"""Folders: short private ones for sockets, and those of the state directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from resilience_site.embedded.errors import StartError

# The kernel's limit for the path of a socket, without its closing zero.
LONGEST_SOCKET_PATH = 107
_LONGEST_NAME = len("/.s.PGSQL.5432.lock")
_LONGEST_TEMPORARY = 50


@dataclass(frozen=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int


class Folders:
    """The folders of one site, by its state directory; the sockets' ones are named after it."""

    def __init__(self, state: Path) -> None:
        self.state = Path(os.path.realpath(state))
        identity = f"{os.getuid()}:{self.state}"
        digest = hashlib.blake2s(identity.encode(errors="surrogateescape")).hexdigest()[:16]
        self.sockets = _temporary() / f"rcp-{digest}"
        self.database_sockets = _temporary() / f"rcp-{digest}-db"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """Specifications and records of the processes."""
        return self.state / "run"

    def make(self) -> None:
        """Make the state's folders and the one for sockets; raises StartError."""
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            for each in (self.logs, self.run):
                each.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"RESILIENCE_STATE_DIR is '{self.state}', but must be a folder that can be written"
                f" ({error.strerror})."
            ) from None
        make_private(self.sockets, None)

    def remove_sockets(self) -> None:
        """Remove the sockets' folders; the state directory stays."""
        for each in (self.sockets, self.database_sockets):
            if each.exists():
                shutil.rmtree(each)


def make_private(folder: Path, account: Account | None) -> None:
    """Make a folder that only `account` (None: the caller) may enter; raises StartError.

    The name can be foretold and lies in a folder that everybody may write to, so one that
    exists is used only when it is a real folder of that account and closed to all others.
    """
    try:
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        pass
    found = folder.lstat()
    owner = os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise StartError(
            f"{folder} is not a private folder of this user: remove it, or set TMPDIR to another"
            " folder for temporary files."
        )


def _temporary() -> Path:
    folder = Path(tempfile.gettempdir()).absolute()
    # A deep TMPDIR would make the sockets' paths too long, so it is passed over.
    return folder if len(os.fsencode(folder)) <= _LONGEST_TEMPORARY else Path("/tmp")  # noqa: S108
