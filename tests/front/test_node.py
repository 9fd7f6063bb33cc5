"""The pure parts of the page's scripts, tested by node's own runner."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
# From here on node reads `.js` files that import as modules, without a package.json.
OLDEST = (20, 19)


def _node() -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("no node on PATH; the scripts' unit tests need it")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    numbers = tuple(map(int, re.findall(r"\d+", version.stdout)[:2]))
    if numbers < OLDEST:
        pytest.skip(f"node {version.stdout.strip()} is older than {OLDEST[0]}.{OLDEST[1]}")
    return program


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_scripts_do_what_their_unit_tests_say(path: Path) -> None:
    done = subprocess.run(
        [_node(), "--test", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
