"""What workflows would do to services now, told and not done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from healing.actions.base import ActionFailed, Context, Subject
from healing.actions.registry import actions_known
from healing.choices import TargetKind
from healing.domain.definition import Definition, Step
from healing.domain.matching import able
from healing.domain.output import output_clean
from healing.models import HealingTarget
from healing.services.runs.steps import guarded
from healing.services.targets import step_resolve
from health.checks.addresses import Addresses
from resilience_site.config import config

# Seconds that it may take to tell an effect.
_EFFECT_SECONDS: Final = 10.0


def effects_told(definitions: Iterable[Definition]) -> Iterator[str]:
    """A line for each step of each workflow, on each service that has the ways for it."""
    targets = list(HealingTarget.objects.order_by("service"))
    for definition in definitions:
        if definition.target != "service":
            continue
        for target in targets:
            if able(definition, target.ways, actions_known()):
                continue
            for step in definition.steps:
                told = _effect(step, target.service)
                yield f"{definition.name} on {target.service}: {step.id}: {told}"


def _effect(step: Step, service: str) -> str:
    subject = Subject(kind=TargetKind.SERVICE, name=service, service=service)
    secrets: frozenset[str] = frozenset()
    try:
        resolved = step_resolve(step, subject)
        secrets = resolved.secrets
        context = Context(
            subject=subject,
            key="dry-run",
            started_at=datetime.now(UTC),
            deadline=time.monotonic() + _EFFECT_SECONDS,
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            pause=time.sleep,
            addresses=Addresses(allow_private=config.resilience_allow_private_targets),
            actor="healing_apply",
        )
        told = guarded(lambda: resolved.action.effect(resolved.parameters, context), "Its effect")
    except ActionFailed as error:
        return f"cannot be done now: {output_clean(error.message, secrets)}"
    return output_clean(told, secrets)
