"""Incidents as operators write them: by the services, the screens and the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from health.models import PublicIncident, PublicIncidentUpdate
from health.selectors.incidents import incident_version
from health.services import incidents as services
from resilience_site.core import journal
from resilience_site.core.choices import Role, Scope
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Conflict, Invalid, NotFound
from tests.health.status.conftest import TOKENS
from tests.health.status.scenes import ANA, DAY, service

pytestmark = pytest.mark.usefixtures("empty_site")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def incident(now: datetime) -> PublicIncident:
    service("planner-srv", "Planner", now)
    return services.incident_open(
        title="Plans load slowly", impact="degraded", services=["planner-srv"],
        text="We look into it.", actor=ANA, now=now - 10 * MINUTE,
    )  # fmt: skip


def stages(incident: PublicIncident) -> list[str]:
    return list(incident.updates.order_by("at").values_list("stage", flat=True))


# --- Services ---------------------------------------------------------------------------------


def test_opening_tells_the_journal_and_the_audit_trail(
    incident: PublicIncident, now: datetime
) -> None:
    assert stages(incident) == ["investigating"]
    assert (incident.started_at, incident.resolved_at) == (now - 10 * MINUTE, None)
    [entry] = journal.read(0, ["incidents"])
    assert (entry.kind, entry.key, entry.state) == (
        "incident.opened", str(incident.id), "investigating",
    )  # fmt: skip
    audited = AuditEntry.objects.get(action="incident.open")
    assert audited.actor == "ana"
    assert audited.after is not None
    assert audited.after["services"] == ["planner-srv"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"title": " "}, "body.title"),
        ({"title": None}, "body.title"),
        ({"title": "t" * 201}, "body.title"),
        ({"text": "\0"}, "body.text"),
        ({"text": "t" * 4_001}, "body.text"),
        ({"impact": "operational"}, "body.impact"),
        ({"impact": ["degraded"]}, "body.impact"),
        ({"stage": "resolved"}, "body.stage"),
        ({"stage": "over"}, "body.stage"),
        ({"services": ["nobody"]}, "body.services"),
        ({"services": "planner-srv"}, "body.services"),
        ({"services": [7]}, "body.services"),
        ({"started_at": "yesterday"}, "body.started_at"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field_and_audited(
    given: dict[str, Any], field: str, now: datetime
) -> None:
    asked = {"title": "T", "impact": "degraded", "text": "x", **given}
    with pytest.raises(Invalid) as refused:
        services.incident_open(**asked, actor=ANA, now=now)
    assert refused.value.errors[0].field == field
    assert not PublicIncident.objects.exists()
    assert AuditEntry.objects.filter(action="incident.open.refused").count() == 1


@pytest.mark.parametrize("ahead", [timedelta(hours=1), -91 * DAY])
def test_an_incident_begins_neither_later_nor_long_ago(now: datetime, ahead: timedelta) -> None:
    with pytest.raises(Invalid):
        services.incident_open(
            title="T", impact="degraded", text="x", started_at=now + ahead, actor=ANA, now=now
        )


def test_the_stage_resolved_ends_it_and_another_opens_it_again(
    incident: PublicIncident, now: datetime
) -> None:
    def update(stage: str, at: datetime) -> None:
        services.incident_update(incident_id=incident.id, stage=stage, text="x", actor=ANA, now=at)
        incident.refresh_from_db()

    update("resolved", now)
    assert incident.resolved_at == now
    update("resolved", now + MINUTE)
    assert incident.resolved_at == now
    update("monitoring", now + 2 * MINUTE)
    assert incident.resolved_at is None
    assert stages(incident) == ["investigating", "resolved", "resolved", "monitoring"]


def test_resolving_twice_is_refused(incident: PublicIncident, now: datetime) -> None:
    services.incident_resolve(incident_id=incident.id, actor=ANA, now=now)
    assert PublicIncidentUpdate.objects.get(stage="resolved").text == services.RESOLVED_TEXT
    with pytest.raises(Invalid):
        services.incident_resolve(incident_id=incident.id, actor=ANA, now=now)


def test_whoever_saw_an_older_one_gets_both_sides(incident: PublicIncident, now: datetime) -> None:
    seen = incident_version(incident)
    services.incident_update(
        incident_id=incident.id, stage="identified", text="A disk.", actor=ANA, now=now
    )
    with pytest.raises(Conflict) as refused:
        services.incident_resolve(incident_id=incident.id, actor=ANA, now=now, if_match=seen)
    assert refused.value.current["stage"] == "identified"
    assert refused.value.proposed["stage"] == "resolved"


def test_two_changes_of_one_moment_are_two_versions(
    incident: PublicIncident, now: datetime
) -> None:
    seen = set()
    for title in ("One", "Two", "Three"):
        changed = services.incident_edit(
            incident_id=incident.id, changes={"title": title}, actor=ANA, now=now
        )
        seen.add(incident_version(changed))
    assert len(seen) == 3


def test_an_edit_changes_what_it_names_and_nothing_else(
    incident: PublicIncident, now: datetime
) -> None:
    service("mail-srv", "Mail", now)
    services.incident_edit(
        incident_id=incident.id, changes={"impact": "major_outage", "services": ["mail-srv"]},
        actor=ANA, now=now,
    )  # fmt: skip
    incident.refresh_from_db()
    assert (incident.title, incident.impact) == ("Plans load slowly", "major_outage")
    assert [each.name for each in incident.services.all()] == ["mail-srv"]
    audited = AuditEntry.objects.get(action="incident.edit")
    assert audited.before is not None
    assert audited.before["services"] == ["planner-srv"]
    with pytest.raises(Invalid):
        services.incident_edit(
            incident_id=incident.id, changes={"created_by": "me"}, actor=ANA, now=now
        )


def test_words_are_corrected_and_updates_taken_back(
    incident: PublicIncident, now: datetime
) -> None:
    first = incident.updates.get()
    services.incident_update_edit(update_id=first.id, text="We look.", actor=ANA, now=now)
    first.refresh_from_db()
    assert first.text == "We look."
    with pytest.raises(Invalid):
        services.incident_update_delete(update_id=first.id, actor=ANA, now=now)
    services.incident_resolve(incident_id=incident.id, actor=ANA, now=now)
    last = incident.updates.get(stage="resolved")
    services.incident_update_delete(update_id=last.id, actor=ANA, now=now)
    incident.refresh_from_db()
    assert incident.resolved_at is None
    with pytest.raises(NotFound):
        services.incident_update_delete(update_id=last.id, actor=ANA, now=now)
    audited = AuditEntry.objects.get(action="incident.update_delete")
    assert audited.before is not None
    assert audited.before["stage"] == "resolved"


# --- Screens ----------------------------------------------------------------------------------


def test_an_operator_writes_an_incident_from_its_opening_to_its_end(
    as_role: Callable[[Role], Client], now: datetime
) -> None:
    service("planner-srv", "Planner", now)
    operator = as_role(Role.OPERATOR)
    assert "No incident is open" in operator.get("/health/incidents").text
    assert "Planner" in operator.get("/health/incidents/new").text
    answer = operator.post(
        "/health/incidents/new",
        {
            "title": "Plans load slowly", "impact": "degraded", "services": ["planner-srv"],
            "stage": "investigating", "text": "We look.", "started_at": f"{now:%Y-%m-%dT%H:%M}",
        },
    )  # fmt: skip
    made = PublicIncident.objects.get()
    assert answer.headers["Location"] == f"/health/incidents/{made.id}"
    assert made.started_at == now.replace(second=0, microsecond=0)
    home = f"/health/incidents/{made.id}"
    form = operator.get(f"{home}/update").text
    assert str(incident_version(made)) in form
    version = {"version": str(incident_version(made))}
    operator.post(
        f"{home}/update",
        {"stage": "identified", "text": "A disk.", "impact": "partial_outage", **version},
    )
    made.refresh_from_db()
    assert made.impact == "partial_outage"
    stale = operator.post(f"{home}/resolve", {"text": "Over.", **version})
    assert stale.status_code == 409
    assert "Somebody else was quicker" in stale.text
    assert "Over." in stale.text
    operator.post(f"{home}/resolve", {"text": "Over.", "version": str(incident_version(made))})
    made.refresh_from_db()
    assert made.resolved_at is not None
    page = operator.get(home).text
    assert "Over." in page
    last = made.updates.get(stage="resolved")
    for verb, sent in (("edit", {"text": "All over."}), ("delete", {})):
        path = f"/health/incidents/updates/{last.id}/{verb}"
        assert operator.get(path).status_code == 200
        assert operator.post(path, sent).headers["Location"] == home
    made.refresh_from_db()
    assert made.resolved_at is None
    operator.post(f"{home}/edit", {"title": "Plans are slow", "impact": "degraded"})
    made.refresh_from_db()
    assert (made.title, made.services.count()) == ("Plans are slow", 0)


def test_a_refused_form_keeps_what_was_written(as_role: Callable[[Role], Client]) -> None:
    answer = as_role(Role.OPERATOR).post(
        "/health/incidents/new",
        {"title": "Kept title", "text": "", "impact": "degraded", "stage": "identified",
         "started_at": "noon"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "Kept title" in answer.text
    assert "&#x27;noon&#x27; is no time" in answer.text


def test_a_viewer_reads_and_is_refused_with_an_entry_in_the_audit_trail(
    incident: PublicIncident, as_role: Callable[[Role], Client]
) -> None:
    viewer = as_role(Role.VIEWER)
    page = viewer.get(f"/health/incidents/{incident.id}").text
    assert "We look into it." in page
    assert "Post update" not in page
    answer = viewer.post(f"/health/incidents/{incident.id}/resolve", {"text": "x"})
    assert answer.status_code == 403
    assert AuditEntry.objects.filter(action="incident.resolve.refused").exists()
    missing = f"/health/incidents/{'0' * 8}-0000-4000-8000-{'0' * 12}"
    assert viewer.get(missing).status_code == 404


# --- API --------------------------------------------------------------------------------------


def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
    key = {"Authorization": f"Bearer {TOKENS[Scope.OPERATE]}", **headers}
    return getattr(Client(), method)(
        f"/api/v1/health/incidents{path}", body, content_type="application/json", headers=key
    )


def test_the_api_writes_and_reads_incidents(now: datetime) -> None:
    service("planner-srv", "Planner", now)
    made = call(
        "post", "",
        {"title": "Slow", "impact": "degraded", "services": ["planner-srv"], "text": "We look."},
    )  # fmt: skip
    assert made.status_code == 201, made.content
    document, tag = made.json(), made.headers["ETag"]
    assert (document["state"], document["stage"]) == ("open", "investigating")
    path = f"/{document['id']}"
    told = call("post", f"{path}/updates", {"stage": "resolved", "text": "Over."})
    assert told.status_code == 201
    assert told.json()["state"] == "resolved"
    stale = call("patch", path, {"title": "Slower"}, **{"If-Match": tag})
    assert stale.status_code == 409
    assert stale.json()["current"]["title"] == "Slow"
    assert call("patch", path, {"title": "Slower"}).json()["title"] == "Slower"
    update = told.json()["updates"][0]["id"]
    edited = call("patch", f"/updates/{update}", {"text": "It is over."}).json()
    assert edited["updates"][0]["text"] == "It is over."
    assert call("delete", f"/updates/{update}").json()["state"] == "open"
    assert [each["id"] for each in call("get", "?state=open").json()["items"]] == [document["id"]]
    assert call("get", "?state=resolved").json()["items"] == []
    assert call("get", path).json()["updates"][0]["actor"]


def test_the_api_says_which_field_is_wrong(now: datetime) -> None:
    answer = call("post", "", {"title": "Slow"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.text"
    assert call("get", "?state=odd").status_code == 422
    assert call("get", f"/{'0' * 8}-0000-4000-8000-{'0' * 12}").status_code == 404
