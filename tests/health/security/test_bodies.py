"""Requests that are made to break the API: each is refused in words, soon, and none is a 500."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.health.api.conftest import Api, fresh_tables, operator

__all__ = ["fresh_tables", "operator"]
pytestmark = pytest.mark.django_db

CHECK = {"name": "x", "kind": "sample", "service": "s", "target": {"url": "http://h.invalid/"}}
SAMPLE = '{"name":"x","kind":"sample","service":"s","target":{"url":"http://h.invalid/"},'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 200_000, id="nested lists"),
        pytest.param(b'{"a":' * 100_000, id="nested objects"),
        pytest.param(
            b'{"name":"x","kind":"sample","service":"s","target":'
            + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
            id="a nested target",
        ),
        pytest.param(b'{"name":"' + b"x" * 30_000_000 + b'"}', id="a large body"),
        pytest.param(f'{SAMPLE}"interval_seconds":1e999}}'.encode(), id="an endless interval"),
        pytest.param(f'{SAMPLE}"interval_seconds":NaN}}'.encode(), id="no number"),
        pytest.param(
            f'{SAMPLE}"failures_to_down":{"9" * 5_000}}}'.encode(), id="a number of 5000 digits"
        ),
        pytest.param(f'{SAMPLE}"depends_on":["a\\u0000"]}}'.encode(), id="NUL"),
        pytest.param(f'{SAMPLE}"depends_on":["a\\ud800"]}}'.encode(), id="half a character"),
        pytest.param(f'{SAMPLE}"service":"s\\ud800"}}'.encode(), id="half a character in a name"),
    ],
)  # fmt: skip
def test_a_hostile_body_is_refused(operator: Api, body: bytes) -> None:
    began = time.monotonic()
    status = operator.raw("POST", "health/checks", body).status_code
    assert 400 <= status < 500
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "target",
    [
        {"url": "http://h.invalid/", "json_path": "$", "json_equals": "a\x00"},
        {"url": "http://h.invalid/", "json_path": "$", "json_equals": {"a\x00": 1}},
        {"url": "http://h.invalid/", "headers": {"a\x00": "b"}},
    ],
)
def test_a_target_with_nul_is_refused(operator: Api, target: dict[str, Any]) -> None:
    status, problem = operator("POST", "health/checks", {**CHECK, "kind": "http", "target": target})
    assert status == 422
    assert problem["errors"][0]["field"] == "body.target"


def test_a_backslash_before_u0000_is_none(operator: Api) -> None:
    target = {"url": "http://h.invalid/", "keyword": "a\\u0000"}
    assert operator.make("x", kind="http", target=target)["target"] == target
