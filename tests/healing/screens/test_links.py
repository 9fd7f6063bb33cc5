"""Links in entries of the journal lead to screens that are there."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import resolve

from healing.services.quarantine import quarantine_begin
from healing.services.switches import automation_stop, switch_set
from healing.services.workflows.modes import workflow_mode_set
from resilience_site.core import journal
from resilience_site.core.audit import Actor
from resilience_site.core.choices import ActorKind, Role, Topic
from tests.healing.engine.scenes import begun, followed, step, subject
from tests.health.world import World

pytestmark = pytest.mark.django_db
ADA = Actor(ActorKind.USER, "ada")


@pytest.mark.usefixtures("stage")
def test_links_of_entries_resolve(world: World, viewer: Client) -> None:
    begins = begun(world, step("test_left"))
    world.down.discard("api")
    run = followed(begins, world)
    assert run.state == "succeeded"
    quarantine_begin(subject=subject(world), reason="too often", actor=ADA, now=world.now)
    switch_set(stopped=True, reason="a trial", actor=ADA, role=Role.ADMIN, now=world.now)
    automation_stop(group="front", reason="half of it fails", now=world.now)
    workflow_mode_set(name="heal_it", mode="approve", reason="a trial", actor=ADA, now=world.now)
    entries = journal.read(0, [Topic.HEALING.value], 1_000)
    kinds = {each.kind for each in entries}
    assert kinds >= {
        "run.created", "run.started", "run.step", "run.succeeded", "target.quarantined",
        "switch.stopped", "automation.stopped", "workflow.changed",
    }  # fmt: skip
    links = {each.payload["link"] for each in entries}
    assert f"/healing/runs/{run.pk}" in links
    for link in links:
        resolve(link)
        assert viewer.get(link).status_code == 200, link
