"""Maintenance windows by the API: planned, previewed, changed, ended, taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from health.models import Maintenance
from tests.health.api.conftest import Api

pytestmark = pytest.mark.django_db
PATH = "health/maintenance"


def single(**more: Any) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    return {
        "name": "upgrade", "kind": "single", "reason": "new version",
        "starts_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(), **more,
    }  # fmt: skip


def plan(operator: Api, **more: Any) -> Any:
    status, document = operator("POST", PATH, single(**more))
    assert status == 201, document
    return document


def test_a_check_in_a_window_is_in_maintenance_until_it_is_ended(operator: Api) -> None:
    check = operator.make("pg")
    operator("POST", f"health/checks/{check['id']}/run")
    window = plan(operator, checks=["pg"])
    assert (window["state"], window["everything"], window["checks"]) == ("under_way", False, ["pg"])
    assert len(window["occurrences"]) == 1
    assert operator.get(f"health/checks/{check['id']}")["state"] == "maintenance"
    status, ended = operator("POST", f"{PATH}/{window['id']}/end", {"reason": "done early"})
    assert (status, ended["state"], ended["occurrences"]) == (200, "over", [])
    assert operator.get(f"health/checks/{check['id']}")["state"] == "up"
    assert operator.get(f"{PATH}?open=true")["items"] == []
    assert len(operator.get(PATH)["items"]) == 1
    assert operator("POST", f"{PATH}/{window['id']}/end")[0] == 422


def test_a_preview_tells_the_next_occurrences_by_the_clock_on_the_wall(operator: Api) -> None:
    weekly = {
        "kind": "weekly", "weekdays": [6], "start_time": "02:30", "duration_seconds": 3600,
        "timezone": "Europe/Berlin", "starts_at": "2027-03-20T00:00:00Z",
    }  # fmt: skip
    status, preview = operator("POST", f"{PATH}/preview", weekly)
    assert status == 200
    begins = [each["starts_at"] for each in preview["occurrences"]]
    # On 28 March the clocks go forward over 02:30.
    assert begins == [
        "2027-03-21T01:30:00Z", "2027-03-28T01:00:00Z", "2027-04-04T00:30:00Z",
        "2027-04-11T00:30:00Z", "2027-04-18T00:30:00Z",
    ]  # fmt: skip
    assert not Maintenance.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "monthly"}, "body.kind"),
        ({"reason": ""}, "body.reason"),
        ({"name": ""}, "body.name"),
        ({"ends_at": None}, "body.ends_at"),
        ({"ends_at": "soon"}, "body.ends_at"),
        ({"ends_at": "2027-01-01T00:00"}, "body.ends_at"),
        ({"ends_at": 5}, "body.ends_at"),
        ({"starts_at": "2999-01-01T00:00:00Z"}, "body.ends_at"),
        ({"timezone": "Mars/Base"}, "body.timezone"),
        ({"services": ["nobody"]}, "body.services"),
        ({"checks": "pg"}, "body.checks"),
        ({"kind": "cron", "cron": "nonsense", "duration_seconds": 60}, "body.cron"),
        ({"kind": "cron", "cron": "0 3 * * *", "duration_seconds": "x"}, "body.duration_seconds"),
        ({"kind": "weekly", "weekdays": [7], "start_time": "03:00",
          "duration_seconds": 60}, "body.weekdays"),
        ({"kind": "weekly", "weekdays": [1], "start_time": "noon",
          "duration_seconds": 60}, "body.start_time"),
        ({"colour": "red"}, "body.colour"),
    ],
)  # fmt: skip
def test_an_impossible_window_is_refused(operator: Api, body: dict[str, Any], field: str) -> None:
    status, problem = operator("POST", PATH, single() | body)
    assert (status, problem["errors"][0]["field"]) == (422, field)
    assert not Maintenance.objects.exists()


def test_a_window_is_changed_by_its_version(operator: Api) -> None:
    window = plan(operator)
    path = f"{PATH}/{window['id']}"
    assert operator.raw("GET", path).headers["ETag"] == '"1"'
    status, changed = operator("PATCH", path, {"public_text": "A short break"}, If_Match='"1"')
    assert (status, changed["public_text"], changed["version"]) == (200, "A short break", 2)
    status, problem = operator("PATCH", path, {"name": "other"}, If_Match='"1"')
    assert status == 409
    assert problem["current"]["name"] == "upgrade"
    assert operator("PATCH", path, {"colour": 1})[0] == 422
    assert operator("PUT", f"{PATH}/{uuid4()}", {})[0] == 404


def test_a_window_that_covers_nothing_any_more_is_not_made_to_cover_everything(
    operator: Api,
) -> None:
    check = operator.make("pg")
    window = plan(operator, checks=["pg"])
    assert operator("DELETE", f"health/checks/{check['id']}")[0] == 204
    path = f"{PATH}/{window['id']}"
    found = operator.get(path)
    assert (found["checks"], found["everything"]) == ([], False)
    status, after = operator("PUT", path, found)
    assert (status, after["everything"]) == (200, False)


def test_a_window_is_taken_back_with_a_reason(operator: Api) -> None:
    window = plan(operator)
    assert operator("DELETE", f"{PATH}/{window['id']}")[0] == 422
    assert operator("DELETE", f"{PATH}/{window['id']}?reason=by+mistake")[0] == 204
    assert operator("GET", f"{PATH}/{window['id']}")[0] == 404


def test_readers_may_only_look(viewer: Api, operator: Api) -> None:
    window = plan(operator)
    assert viewer("POST", PATH, single())[0] == 403
    assert viewer("POST", f"{PATH}/{window['id']}/end")[0] == 403
    assert viewer.get(PATH)["items"][0]["name"] == "upgrade"
