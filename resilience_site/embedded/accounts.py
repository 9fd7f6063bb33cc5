"""As whom PostgreSQL runs: as the caller, or, when that is root, as an account without rights."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from resilience_site.embedded.errors import StartError
from resilience_site.embedded.folders import Account

CANDIDATES = ("postgres", "nobody")
# Each lets the account through folders that are closed to it; the first is the weaker one, but
# containers often lack it.
CAPABILITIES = ("dac_read_search", "dac_override")


def database_account(home: Path) -> Account | None:
    """The account for the database in `home`; None when the caller can run it himself."""
    if os.geteuid() != 0:
        return None
    if home.exists() and (owner := home.stat().st_uid) != 0:
        # Files once written by an account stay readable for it alone.
        try:
            return _account(pwd.getpwuid(owner))
        except KeyError:
            raise StartError(
                f"{home} belongs to the user {owner}, who does not exist here: give it to one that"
                " does, or set RESILIENCE_STATE_DIR to another folder."
            ) from None
    for name in CANDIDATES:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise StartError(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody:"
        " start as an ordinary user, or set DATABASE_URL."
    )


def run_as(account: Account | None, *, home: Path, program: Path) -> list[str]:
    """The words before a command that make it run as `account`, able to reach both paths.

    Permissions of folders above them are never changed: where they shut the account out, it gets
    the capability to pass them instead. Raises StartError when neither works.
    """
    if account is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StartError(
            "PostgreSQL refuses to run as root, and setpriv is missing: install util-linux, or"
            " start as an ordinary user, or set DATABASE_URL."
        )
    plain = [
        setpriv,
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        "--clear-groups",
        # A change of user clears the signal that was asked for before it.
        "--pdeathsig=INT",
    ]
    for extra in ([], *(_passing(each) for each in CAPABILITIES)):
        words = [*plain, *extra, "--"]
        if _reaches(words, home, program):
            return words
    raise StartError(
        f"PostgreSQL runs as the user {account.name} when root starts it, and that user cannot"
        f" reach {home} or {program}: open the folders above them to it, or start as an ordinary"
        " user, or set DATABASE_URL."
    )


def _passing(capability: str) -> list[str]:
    return [
        f"--inh-caps=+{capability}",
        f"--ambient-caps=+{capability}",
        # access() drops capabilities of users other than root without it, and PostgreSQL looks
        # for its own programs by access().
        "--securebits=+no_setuid_fixup",
    ]


def _reaches(words: Sequence[str], home: Path, program: Path) -> bool:
    test = 'cd "$1" && test -w . && test -r "$2" && test -x "$2" && "$2" --version'
    command = [*words, "/bin/sh", "-c", test, "sh", str(home), str(program)]
    return subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0  # noqa: S603


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
