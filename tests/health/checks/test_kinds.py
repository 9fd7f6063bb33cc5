"""What holds for every kind of check."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from health.checks import KINDS, kinds

ROOT = Path(__file__).resolve().parents[3]


def test_the_kinds_there_are() -> None:
    kinds.load()
    # Tests have one of their own.
    assert set(KINDS) - {"sample"} == {
        *("http", "tcp", "dns", "tls", "smtp"),
        *("postgres", "redis", "celery", "mcp", "microsoft_graph"),
        *("disk", "memory", "push", "composite"),
    }


@pytest.mark.parametrize("name", sorted(KINDS))
def test_secrets_are_options_and_options_can_be_shown(name: str) -> None:
    kind = KINDS[name]
    options = {each.name for each in dataclasses.fields(kind.Options)}
    assert kind.secrets | kind.url_secrets <= options
    assert kind.label
    assert kind.Options.__doc__


def test_kinds_that_depend_on_more_than_their_target_are_not_shared() -> None:
    assert {name for name, kind in KINDS.items() if not kind.shared} >= {
        "celery",
        "push",
        "composite",
    }


def test_what_few_checks_need_is_not_loaded_with_the_site() -> None:
    code = (
        "import sys, health.checks;"
        "print([each for each in ('mcp', 'httpx2', 'kombu', 'amqp') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
