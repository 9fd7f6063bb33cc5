"""Heartbeats: the token is the key, what they say counts at once, and nobody learns the token."""

from __future__ import annotations

import logging

import pytest

from health.models import Check, CheckStatus
from health.services import heartbeats
from tests.health.api.conftest import Api

pytestmark = pytest.mark.django_db


def push_check(operator: Api, **target: object) -> dict[str, str]:
    return dict(operator.make("backup", kind="push", target=target))


def path_of(made: dict[str, str]) -> str:
    return made["push_url"].partition("/api/v1/")[2]


def status_of(name: str = "backup") -> CheckStatus:
    return CheckStatus.objects.get(check_row__name=name)


def test_the_address_is_told_by_the_answer_that_made_it_alone(operator: Api) -> None:
    made = push_check(operator)
    token = path_of(made).rpartition("/")[2]
    assert len(token) >= 20
    assert made["target"]["token"] == "***"  # type: ignore[index]
    assert operator.get(f"health/checks/{made['id']}")["push_url"] is None
    everything = operator.raw("GET", "health").content + operator.raw("GET", "audit").content
    assert token.encode() not in everything


def test_a_heartbeat_may_tell_more_than_is_asked_for(operator: Api, anybody: Api) -> None:
    path = path_of(push_check(operator))
    assert anybody("GET", f"{path}?status=up&msg=OK&ping=3")[0] == 200


def test_a_heartbeat_needs_no_key(operator: Api, anybody: Api) -> None:
    made = push_check(operator)
    status, answer = anybody("GET", path_of(made))
    assert (status, answer["status"]) == (200, "up")
    assert status_of().pushed_status == "up"
    assert status_of().next_due_at is not None


@pytest.mark.parametrize(
    ("query", "body", "content_type", "status", "output"),
    [
        ("?status=down&output=disk+full", b"", "text/plain", "down", "disk full"),
        ("", b"took 3 s", "text/plain", "up", "took 3 s"),
        ("", b"status=down&output=full", "application/x-www-form-urlencoded", "down", "full"),
        ("", b"all is well", "application/x-www-form-urlencoded", "up", "all is well"),
        ("", b'{"status": "degraded", "output": "slow"}', "application/json", "degraded", "slow"),
        ("?status=down", b'{"status": "up"}', "application/json", "down", ""),
        ("", b"\xff\x00", "application/octet-stream", "up", "��"),
        ("", b"x" * 5_000, "text/plain", "up", "x" * 1_000),
    ],
)
def test_what_it_says_comes_from_the_address_or_the_body(
    operator: Api,
    anybody: Api,
    query: str,
    body: bytes,
    content_type: str,
    status: str,
    output: str,
) -> None:
    path = path_of(push_check(operator)) + query
    response = anybody.raw("POST", path, body, content_type=content_type)
    assert response.status_code == 200
    row = status_of()
    assert (row.pushed_status, row.pushed_output) == (status, output)


def test_a_wrong_token_or_status_changes_nothing(operator: Api, anybody: Api) -> None:
    path = path_of(push_check(operator))
    assert anybody("GET", "health/push/" + "x" * 32)[0] == 404
    status, problem = anybody("GET", f"{path}?status=dead")
    assert (status, problem["errors"][0]["field"]) == (422, "query.status")
    assert status_of().pushed_at is None


def test_too_many_are_told_to_wait_and_a_burst_passes(
    operator: Api,
    anybody: Api,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No more are let through for the time that the burst itself takes.
    monkeypatch.setattr(heartbeats, "RATE", 0.001)
    path = path_of(push_check(operator))
    answers = [anybody.raw("GET", path) for _ in range(heartbeats.BURST + 3)]
    codes = [each.status_code for each in answers]
    assert codes[: heartbeats.BURST] == [200] * heartbeats.BURST
    assert codes[-1] == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    token = path.rpartition("/")[2]
    assert token.encode() not in answers[-1].content
    assert token not in caplog.text
    assert caplog.at_level(logging.DEBUG)


def test_a_new_token_ends_the_old_one(operator: Api, anybody: Api) -> None:
    made = push_check(operator)
    status, renewed = operator("PATCH", f"health/checks/{made['id']}", {"target": {"token": ""}})
    assert status == 200
    assert renewed["push_url"] != made["push_url"]
    assert anybody("GET", path_of(made))[0] == 404
    assert anybody("GET", path_of(renewed))[0] == 200


def test_a_chosen_token_is_kept_by_its_mask(operator: Api) -> None:
    made = push_check(operator, token="t" * 30)
    assert made["push_url"].endswith("/" + "t" * 30)
    digest = Check.objects.get().push_digest
    operator("PATCH", f"health/checks/{made['id']}", {"target": {"token": "***"}, "name": "b"})
    assert Check.objects.get().push_digest == digest
