"""Incidents stand among the trends."""

from __future__ import annotations

from datetime import timedelta

from django.test import Client

from tests.alerting.incidents.scene import NOW, fire, follow


def test_incidents_are_counted_by_the_step_in_which_they_began(viewer: Client) -> None:
    fire("slow", "billing", severity="ticket", summary="billing is slow")
    fire(summary="planner fails", minute=-1)
    follow()
    since = (NOW - timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    until = (NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    question = {"metric": "incidents", "since": since, "until": until, "step": 3600}
    for service, expected in (("", 2), ("billing", 1), ("planner", 1), ("nobody", 0)):
        found = viewer.get("/api/v1/trends", {**question, "service": service}).json()
        assert (found["unit"], found["title"]) == ("incidents", "Incidents that began")
        assert sum(point["value"] or 0 for point in found["points"]) == expected
    page = viewer.get("/trends", {"metric": "incidents", "since": since, "until": until})
    assert "Incidents that began" in page.content.decode()
