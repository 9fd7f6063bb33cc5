"""Inhibitions as people make them, over the API and on the screen."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from alerting.models import Inhibition
from alerting.services import inhibitions
from alerting.services.shipped_routing import routing_ship
from resilience_site.core.models import AuditEntry
from tests.alerting.pipeline.scene import INTERVAL, WAIT, Scene, channel_made, names_of, route_made
from tests.alerting.pipeline.test_api import Api

pytestmark = pytest.mark.django_db

PATH = "alerts/inhibitions"
BODY = {
    "name": "db-over-callers", "source": {"alertname": "db_down"},
    "target": ["alertname=~slow|failing"], "equal": ["team"],
}  # fmt: skip
FORM = {
    "name": "db-over-callers", "source": "alertname=db_down", "target": "alertname=~slow|failing",
    "equal": "team, service", "enabled": "on",
}  # fmt: skip


@pytest.fixture
def api() -> Api:
    return Api()


def test_what_is_made_holds_and_what_is_deleted_does_not(api: Api) -> None:
    status, made = api("POST", PATH, BODY)
    assert (status, made["version"], made["enabled"], made["origin"]) == (201, 1, True, "person")
    route_made("all", channel_made())
    scene = Scene()
    scene.fire("db_down", team="x")
    scene.fire("slow", service="tasks", team="x")
    scene.fire("slow", service="mail", team="y")
    scene.turn()
    told = [names_of(message, "firing") for _, message in scene.wait(WAIT)]
    assert sorted(name for names in told for name in names) == ["db_down", "slow"]
    assert api("DELETE", f"{PATH}/db-over-callers")[0] == 204
    scene.turn()
    told = [names_of(message, "firing") for _, message in scene.wait(INTERVAL)]
    assert "slow" in [name for names in told for name in names]


def test_a_change_is_versioned_and_audited(api: Api) -> None:
    api("POST", PATH, BODY)
    one = f"{PATH}/db-over-callers"
    status, changed = api("PUT", one, {"equal": []}, **{"If-Match": '"1"'})
    assert (status, changed["equal"], changed["version"]) == (200, [], 2)
    status, conflict = api("PUT", one, {"enabled": False}, **{"If-Match": '"1"'})
    assert (status, conflict["current"]["version"]) == (409, 2)
    assert api("DELETE", one, **{"If-Match": '"1"'})[0] == 409
    assert api("DELETE", one)[0] == 204
    entries = AuditEntry.objects.filter(object_id="db-over-callers").order_by("at", "id")
    assert [each.action for each in entries] == [
        "inhibition.create", "inhibition.update", "inhibition.update.refused",
        "inhibition.delete.refused", "inhibition.delete",
    ]  # fmt: skip
    assert entries[1].before["equal"] == ["team"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "new"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"source": []}, "source"),
        ({"source": None}, "source"),
        ({"target": {}}, "target"),
        ({"target": ["severity=~.*"]}, "target"),
        ({"target": ["service=~("]}, "target"),
        ({"equal": "team"}, "equal"),
        ({"equal": ["..."]}, "equal"),
        ({"equal": [f"l{n}" for n in range(11)]}, "equal"),
        ({"enabled": "yes"}, "enabled"),
        ({"holds_after_seconds": -1}, "holds_after_seconds"),
        ({"holds_after_seconds": 86_401}, "holds_after_seconds"),
        ({"holds_after_seconds": True}, "holds_after_seconds"),
        ({"holds_after_seconds": "ten"}, "holds_after_seconds"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(
    api: Api, change: dict[str, Any], field: str
) -> None:
    status, refused = api("POST", PATH, {**BODY, **change})
    assert (status, refused["errors"][0]["field"]) == (422, f"body.{field}")
    assert AuditEntry.objects.filter(action="inhibition.create.refused").count() == 1
    assert not Inhibition.objects.exists()


def test_there_is_one_of_a_name_and_not_too_many(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api("POST", PATH, BODY)[0] == 201
    assert api("POST", PATH, BODY)[0] == 422
    monkeypatch.setattr(inhibitions, "MOST_INHIBITIONS", 1)
    assert api("POST", PATH, {**BODY, "name": "other"})[0] == 422


def test_what_the_site_comes_with_can_be_changed_and_not_deleted(api: Api) -> None:
    routing_ship()
    one = f"{PATH}/failure-over-signs"
    assert api("PUT", one, {"equal": ["service", "env"]})[0] == 200
    assert routing_ship() == []
    assert Inhibition.objects.get(name="failure-over-signs").equal == ["service", "env"]
    status, refused = api("DELETE", one)
    assert status == 422
    assert "switch it off instead" in refused["detail"]


def test_an_inhibition_is_made_edited_and_deleted_on_the_screen(operator: Client) -> None:
    new = "/alerts/inhibitions/new"
    assert "New inhibition" in operator.get(new).content.decode()
    answer = operator.post(new, {**FORM, "source": ""})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "every alert would hold back whatever fires" in page
    assert "alertname=~slow|failing" in page
    assert operator.post(new, FORM).status_code == 302
    listed = operator.get("/alerts/routes").content.decode()
    edit, delete = (f"/alerts/inhibitions/db-over-callers/{act}" for act in ("edit", "delete"))
    assert edit in listed
    assert delete in listed
    assert "alertname=db_down" in operator.get(edit).content.decode()
    refused = operator.post(edit, {**FORM, "version": "1", "holds_after_seconds": "an hour"})
    assert refused.status_code == 422
    assert 'value="an hour"' in refused.content.decode()
    changed = {**FORM, "version": "1", "equal": "", "holds_after_seconds": "3600"}
    del changed["enabled"]
    assert operator.post(edit, changed).status_code == 302
    assert operator.post(edit, changed).status_code == 409
    found = Inhibition.objects.get()
    assert (found.equal, found.enabled, found.version) == ([], False, 2)
    assert found.holds_after_seconds == 3_600
    assert "and 1 h afterwards" in operator.get("/alerts/routes").content.decode()
    assert "is told from then on" in operator.get(delete).content.decode()
    assert operator.post(delete, {"version": "2"}).status_code == 302
    assert not Inhibition.objects.exists()
    assert operator.get(edit).status_code == 404
