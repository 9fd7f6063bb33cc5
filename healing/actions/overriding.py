"""Overrides of breakers, as actions see them: what is in force, and whose it is."""

from __future__ import annotations

from typing import Any

from breakers.models import ControlDocument, Override
from breakers.services.overrides import Target
from healing.actions.base import ActionFailed
from healing.actions.steering import HEALER


def override_present(target: Target) -> dict[str, Any] | None:
    """What is in force at a place, as JSON."""
    found = Override.objects.filter(**target._asdict(), ended_at=None).first()
    if found is None:
        return None
    return {
        "id": found.pk,
        "state": str(found.state),
        "actor": found.actor,
        "expires_at": found.expires_at and found.expires_at.isoformat(),
    }


def document_version(service: str) -> int:
    """The version of what a service is to work by; 0 before there is any."""
    found = ControlDocument.objects.filter(service=service).values_list("version", flat=True)
    return found.first() or 0


def override_refuse_persons(target: Target) -> None:
    """Raise `ActionFailed` where somebody else has decided about this breaker."""
    present = override_present(target)
    if present and present["actor"] != HEALER.name:
        raise ActionFailed(
            f"{target.object_id} is {present['state']} by {present['actor']}: that is theirs to end",
            permanent=True,
        )
