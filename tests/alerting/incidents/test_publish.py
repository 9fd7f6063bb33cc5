"""What the public is told of an incident, and that it stays in step by choice."""

from __future__ import annotations

from alerting.models import Alert, Incident
from alerting.services.incident_publish import publications_follow
from health.models import PublicIncident, Service
from health.services.incidents import incident_resolve
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind
from resilience_site.core.models import AuditEntry
from tests.alerting.incidents import scene
from tests.alerting.incidents.scene import fire, follow, incident_of, over
from tests.health.api.conftest import Api


def updates(public: PublicIncident) -> list[tuple[str, str]]:
    return list(public.updates.order_by("at", "id").values_list("stage", "text"))


def published(operate: Api, **body: object) -> PublicIncident:
    alert = fire(minute=-2, breaker="graph")
    follow(-2)
    path = f"incidents/{incident_of(alert).id}/publish"
    status, shown = operate("POST", path, body)
    assert status == 201, shown
    return PublicIncident.objects.get(id=shown["public_incident_id"])


def test_what_is_not_said_is_made_from_the_incident(operate: Api) -> None:
    Service.objects.create(
        name="planner", public_name="Planning", first_seen=scene.NOW, last_seen=scene.NOW
    )
    public = published(operate)
    assert (public.title, public.impact) == ("Problems with Planning", "partial_outage")
    assert [each.name for each in public.services.all()] == ["planner"]
    assert public.started_at == scene.at(-2)
    assert updates(public)[0][0] == "investigating"
    again = operate("POST", f"incidents/{Incident.objects.get().id}/publish")
    assert again[0] == 422


def test_inner_names_are_not_told_by_themselves(operate: Api) -> None:
    public = published(operate)
    assert public.title == "Problems with our service"
    assert "planner" not in str(updates(public))


def test_the_end_and_the_return_are_told_where_that_was_chosen(operate: Api) -> None:
    public = published(operate, title="Slow answers", text="We look into it.")
    alert = Alert.objects.get()
    assert publications_follow(now=scene.at(0)) == 0
    over(alert, 1)
    follow(1)
    assert publications_follow(now=scene.at(1)) == 1
    assert publications_follow(now=scene.at(1)) == 0
    public.refresh_from_db()
    assert public.resolved_at is not None
    assert updates(public)[-1] == ("resolved", "The problem is over.")
    fire(minute=3, breaker="graph")
    follow(3)
    assert publications_follow(now=scene.at(3)) == 1
    public.refresh_from_db()
    assert public.resolved_at is None
    lines = scene.texts(incident_of(alert).entries.all())
    assert "The status page says that it is over." in lines
    assert "The status page says that it is back." in lines


def test_it_is_not_followed_without_the_choice(operate: Api) -> None:
    public = published(operate, follow=False)
    over(Alert.objects.get(), 1)
    follow(1)
    assert publications_follow(now=scene.at(1)) == 0
    public.refresh_from_db()
    assert public.resolved_at is None


def test_what_a_person_ended_there_stays_ended(operate: Api) -> None:
    public = published(operate)
    ada = Actor(ActorKind.USER, "ada")
    incident_resolve(incident_id=public.id, actor=ada, now=scene.at(1))
    assert publications_follow(now=scene.at(2)) == 0
    public.refresh_from_db()
    assert public.resolved_at is not None


def test_what_the_status_page_refuses_is_refused_and_recorded(operate: Api) -> None:
    alert = fire()
    follow()
    path = f"incidents/{incident_of(alert).id}/publish"
    assert operate("POST", path, {"impact": "none"})[0] == 422
    assert operate("POST", path, {"services": ["nobody"]})[0] == 422
    assert operate("POST", path, {"title": ""})[0] == 422
    assert PublicIncident.objects.count() == 0
    refused = AuditEntry.objects.filter(action="incident.publish.refused")
    assert refused.count() == 3
