"""The wheel: what a protected service installs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a process of its own, without an index: hatchling is at hand already."""
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


def test_the_wheel_carries_the_client_alone(wheel: Path) -> None:
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert "breakers/__init__.py" in names
    assert "breakers/runtime/__init__.py" in names
    assert "breakers/runtime/py.typed" in names
    others = [n for n in names if n != "breakers/__init__.py" and "breakers/runtime/" not in n]
    assert others == []


def test_the_wheel_asks_for_opentelemetry_only(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [name] = [each for each in archive.namelist() if each.endswith("/METADATA")]
    required = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    always = [each for each in required if "extra ==" not in each]
    assert always
    assert all(each.startswith("opentelemetry-") for each in always)


def test_the_installed_wheel_works_without_django(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("django", "celery", "ninja", "resilience_site", "redis"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import breakers.runtime as resilience
assert resilience.__file__.startswith(sys.argv[1]), resilience.__file__
connection = resilience.connect("http://127.0.0.1:9", key="k" * 20, service="planner")
with connection.tracer_provider.get_tracer("test").start_as_current_span("call"):
    pass
connection.shutdown(0.1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
