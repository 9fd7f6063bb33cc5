"""The locked packages: from whichever index pip is set up with, checked by hash, complete."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SITE, DEV = "requirements/site.txt", "requirements/dev.txt"
APPRISE = "requirements/apprise.txt"
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def logical_lines(path: str) -> list[str]:
    text = (ROOT / path).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def locked(path: str) -> dict[str, list[Requirement]]:
    """Each locked name with its requirements; different markers may lock different versions."""
    found: dict[str, list[Requirement]] = {}
    for line in logical_lines(path):
        requirement = Requirement(HASH.sub("", line).strip())
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def asked_for(*groups: str, extras: tuple[str, ...] = ("site",)) -> list[Requirement]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    texts = [*document["project"]["dependencies"]]
    for extra in extras:
        texts += document["project"]["optional-dependencies"][extra]
    for group in groups:
        texts += document["dependency-groups"][group]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("path", [SITE, DEV, APPRISE])
def test_each_line_pins_one_version_by_hash_and_names_no_place(path: str) -> None:
    for line in logical_lines(path):
        rest = HASH.sub("", line).strip()
        assert HASH.search(line), f"no hash: {line}"
        assert not rest.startswith("-"), f"an option: {line}"
        assert "://" not in rest
        assert "@" not in rest
        assert "/" not in rest
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^ ;]+( ; .+)?", rest), line


@pytest.mark.parametrize(
    ("path", "extras", "groups"),
    [
        (SITE, ("site",), ("demo",)),
        (APPRISE, ("site", "apprise"), ("demo",)),
        (DEV, ("site", "apprise"), ("demo", "dev")),
    ],
)
def test_everything_that_the_project_asks_for_is_locked(
    path: str, extras: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    known = locked(path)
    for wanted in asked_for(*groups, extras=extras):
        found = known.get(canonicalize_name(wanted.name), [])
        assert found, f"{wanted} is not in {path}: make lock"
        for each in found:
            version = str(each.specifier).removeprefix("==")
            assert wanted.specifier.contains(version, prereleases=True), f"{each} is not {wanted}"


@pytest.mark.parametrize("path", [SITE, APPRISE])
def test_development_runs_on_the_very_packages_of_the_site(path: str) -> None:
    development = locked(DEV)
    for name, requirements in locked(path).items():
        pins = {(str(each.specifier), str(each.marker)) for each in requirements}
        assert pins <= {(str(e.specifier), str(e.marker)) for e in development.get(name, [])}


def test_packages_of_other_platforms_and_pythons_keep_their_markers() -> None:
    assert any("python_full_version" in line for line in logical_lines(SITE))
    assert any("sys_platform" in line for line in logical_lines(DEV))
