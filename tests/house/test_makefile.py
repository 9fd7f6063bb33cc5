"""`make`: its commands, and the one sentence where something it needs is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*words: str) -> subprocess.CompletedProcess[str]:
    # Variables of a make that runs the tests must not reach this one.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "PYTHON"}
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def fake_python(tmp_path: Path) -> Path:
    """A python3 that fails a check whose code contains the words in `FAILS`."""
    path = tmp_path / "python3"
    path.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo "Python 3.9.2"; exit 0; }\n'
        'case "$2" in *"$FAILS"*) exit 1 ;; esac\nexit 0\n'
    )
    path.chmod(0o755)
    return path


def refusal(python: Path, venv: Path) -> str:
    done = make(f"PYTHON={python}", f"VENV={venv}", f"{venv}/.made")
    assert done.returncode != 0
    assert not venv.exists()
    first, *rest = done.stderr.splitlines()
    assert all("***" in line for line in rest)
    return first


def test_help_lists_every_command() -> None:
    listed = make("help").stdout
    for command in ("up", "demo", "test", "check", "bench"):
        assert f"make {command} " in listed
    assert make().stdout == listed


def test_a_missing_python_is_one_sentence(tmp_path: Path) -> None:
    assert "was not found; install Python 3.11" in refusal(
        tmp_path / "none", tmp_path / "environment"
    )


def test_an_old_python_is_one_sentence(
    fake_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "version_info")

    said = refusal(fake_python, tmp_path / "environment")

    assert "is Python 3.9.2, but 3.11 or newer is needed" in said


def test_a_python_without_venv_is_one_sentence(
    fake_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "ensurepip")

    assert "apt-get install python3-venv" in refusal(fake_python, tmp_path / "environment")
