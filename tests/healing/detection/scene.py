"""Workflows that answer to what fails in a fleet in simulated time."""

from __future__ import annotations

from typing import Any

from healing.domain.definition import definition_form, definition_of
from healing.models import HealingTarget, Opportunity, Workflow
from resilience_site.core.sealing import seal
from tests.health.world import World


def workflow(
    name: str = "restart_service", mode: str = "auto", priority: int = 100, **fields: Any
) -> Workflow:
    """A workflow of one step that is a way of the service, by default `restart`."""
    way = fields.pop("way", "restart")
    form = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "priority": priority,
        "trigger": {"type": "check_failed"},
        "steps": [{"id": way, "action": way}],
        **fields,
    }
    definition = definition_of(form)
    now = World().now
    return Workflow.objects.create(
        name=name,
        title=definition.title,
        mode=mode,
        mode_changed_at=now,
        priority=priority,
        definition=definition_form(definition),
        text="",
        created_at=now,
        changed_at=now,
    )


def reached(service: str, *ways: str) -> HealingTarget:
    """A service with these ways, each of which waits a moment."""
    made = {way: {"action": "wait", "with": {"seconds": 0.01}} for way in ways or ("restart",)}
    return HealingTarget.objects.create(
        service=service, ways=made, sealed_ways=seal("{}"), changed_at=World().now
    )


def opportunities() -> list[tuple[str, str, str]]:
    """Workflow, target and state of each."""
    return [
        (each.workflow.name, each.target, each.state)
        for each in Opportunity.objects.select_related("workflow").order_by(
            "first_seen", "workflow__name", "target"
        )
    ]
