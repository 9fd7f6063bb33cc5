"""The paths of patterns: decisions with terms, merges, and why errors are together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from analytics.models import ErrorPattern
from resilience_site.core.choices import Role
from tests.analytics.patterns.scenes import HOUR, NOW, fail

pytestmark = pytest.mark.usefixtures("store")

Post = Callable[..., dict[str, Any]]


@pytest.fixture
def post(operator: Client) -> Post:
    def send(pattern: ErrorPattern, verb: str, status: int = 200, **body: Any) -> dict[str, Any]:
        answer = operator.post(
            f"/api/v1/patterns/{pattern.id}/{verb}", body, content_type="application/json",
            headers={"Origin": "http://testserver"},
        )  # fmt: skip
        assert answer.status_code == status, answer.content
        found: dict[str, Any] = answer.json()
        return found

    return send


def get(client: Client, path: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_decisions_take_terms_and_answer_the_pattern(post: Post) -> None:
    pattern = fail()
    resolved = post(pattern, "resolve", in_version="1.2", reason="mended")
    assert (resolved["state"], resolved["resolved_in_version"]) == ("resolved", "1.2")
    assert "mended" in resolved["state_reason"]
    ignored = post(pattern, "ignore", **{"for": 3600, "until_count": 10, "until_escalating": True})
    assert (ignored["state"], ignored["ignored_until_count"]) == ("ignored", 11)
    assert ignored["ignored_until"] is not None
    assert ignored["resolved_in_version"] == ""
    assert post(pattern, "reopen")["state"] == "ongoing"
    assert post(pattern, "ignore", 422, **{"for": 0})["status"] == 422
    assert "no such field" in post(pattern, "ignore", 422, until="18:30")["detail"]
    assert post(pattern, "ignore", expires_in=60)["ignored_until"] is not None
    assert post(ErrorPattern(id="0" * 32), "resolve", 404)["status"] == 404


def test_merges_are_listed_with_who_and_why_and_can_be_undone(post: Post, viewer: Client) -> None:
    one, other = fail("A", times=2), fail("B")
    merged = post(other, "merge", into=str(one.id), reason="the same bug")
    assert (merged["id"], merged["count"]) == (str(one.id), 3)
    assert [item["count"] for item in get(viewer, "patterns")["items"]] == [3]
    detail = get(viewer, f"patterns/{one.id}")
    [member] = detail["why"]["members"]
    assert (member["id"], member["origin"], member["actor"], member["reason"]) == (
        str(other.id), "person", "a-operator", "the same bug",
    )  # fmt: skip
    assert get(viewer, f"patterns/{other.id}")["merged_into"] == str(one.id)
    since, until = (at.isoformat().replace("+00:00", "Z") for at in (NOW - HOUR, NOW + HOUR))
    found = get(viewer, f"errors?pattern={one.id}&since={since}&until={until}")
    assert len(found["items"]) == 3
    assert post(other, "resolve", 409)["current"] == {"merged_into": str(one.id)}
    assert post(other, "unmerge", reason="not so")["merged_into"] is None
    assert post(other, "unmerge", 409)["status"] == 409
    assert post(one, "merge", 422, into="0" * 32)["status"] == 422
    assert len(get(viewer, "patterns?sort=-count")["items"]) == 2


def test_a_pattern_tells_its_limit_versions_and_why(viewer: Client) -> None:
    pattern = fail(version="1.0", message="plan 7 failed", at=NOW - timedelta(minutes=1))
    detail = get(viewer, f"patterns/{pattern.id}")
    assert (detail["first_version"], detail["last_version"]) == ("1.0", "1.0")
    assert detail["limit"]["value"] is None
    assert "needs 3 complete hours" in detail["limit"]["words"]
    assert [(each["version"], each["count"]) for each in detail["versions"]] == [("1.0", 1)]
    [variable] = detail["why"]["variables"]
    assert variable["what"] == "a number"
    assert len(detail["why"]["sentences"]) == 2


def test_only_operators_merge(as_role: Callable[[Role], Client]) -> None:
    one, other = fail("A"), fail("B")
    answer = as_role(Role.VIEWER).post(
        f"/api/v1/patterns/{other.id}/merge", {"into": str(one.id)},
        content_type="application/json", headers={"Origin": "http://testserver"},
    )  # fmt: skip
    assert answer.status_code == 403
    other.refresh_from_db()
    assert other.merged_into is None
