"""The catalogue as a file, by the API."""

from __future__ import annotations

import pytest

from health.models import Check
from tests.health.api.conftest import Api

pytestmark = pytest.mark.django_db
FILE = b"""
checks:
  - name: net
    kind: sample
    service: platform
    target: {url: "http://u:hunter22@nowhere.invalid/"}
  - name: pg
    kind: sample
    service: platform
    target: {url: "http://nowhere.invalid/"}
    depends_on: [net]
"""


def test_a_file_is_shown_then_applied_once(operator: Api) -> None:
    kind = {"content_type": "application/yaml"}
    status, dry = operator("POST", "health/apply?dry_run=true", FILE, **kind)
    assert (status, dry["dry_run"], Check.objects.count()) == (200, True, 0)
    assert len(dry["changes"]) >= 2
    status, done = operator("POST", "health/apply", FILE, **kind)
    assert (status, Check.objects.count()) == (200, 2)
    assert "hunter22" not in str([dry, done])
    assert operator("POST", "health/apply", FILE, **kind)[1]["changes"] == []
    assert operator.get("health/checks?name=pg")["items"][0]["managed_by"] == "api"


@pytest.mark.parametrize(
    ("text", "status"),
    [(b"\xff", 400), (b"checks: 5", 422), (b"{", 422), (b"checks: [{name: a}]", 422)],
)
def test_a_wrong_file_changes_nothing(operator: Api, text: bytes, status: int) -> None:
    answered, problem = operator("POST", "health/apply", text, content_type="application/yaml")
    assert answered == status, problem
    assert not Check.objects.exists()
    if status == 422:
        assert problem["errors"]


def test_readers_may_not_apply(viewer: Api) -> None:
    assert viewer("POST", "health/apply", FILE)[0] == 403
