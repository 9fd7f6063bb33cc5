"""Closed sets of values of workflows and their runs."""

from __future__ import annotations

from typing import Final

from django.db import models


class Mode(models.TextChoices):
    """How far a workflow goes without a person, the most careful first."""

    OBSERVE = "observe", "Observe: note what it would have done"
    SUGGEST = "suggest", "Suggest: a person starts it"
    APPROVE = "approve", "Approve: it waits for a person's yes"
    AUTO = "auto", "Auto: it runs by itself"


class Origin(models.TextChoices):
    SHIPPED = "shipped", "shipped with the site"
    PERSON = "person", "made by a person"


class TriggerKind(models.TextChoices):
    """What a run answers to."""

    CHECK_FAILED = "check_failed", "check failed"
    BREAKER_OPEN = "breaker_open", "breaker open"
    PATTERN_SPIKING = "pattern_spiking", "error pattern spiking"
    PREDICTION = "prediction", "failure foreseen"
    ALERT = "alert", "alert"
    HEALED = "healed", "after a heal that was verified"
    MANUAL = "manual", "by hand"


class TargetKind(models.TextChoices):
    """What a run acts on. Each target belongs to a service, or is one."""

    SERVICE = "service", "service"
    BREAKER = "breaker", "breaker"
    PATTERN = "pattern", "error pattern"


class RunState(models.TextChoices):
    PENDING = "pending", "pending"
    WAITING_APPROVAL = "waiting_approval", "waiting for approval"
    RUNNING = "running", "running"
    VERIFYING = "verifying", "verifying"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    ROLLED_BACK = "rolled_back", "rolled back"
    ESCALATED = "escalated", "escalated to a person"
    CANCELLED = "cancelled", "cancelled"


OPEN: Final = frozenset(
    {RunState.PENDING, RunState.WAITING_APPROVAL, RunState.RUNNING, RunState.VERIFYING}
)
# Ended without the effect that they were for. A cancelled run is neither.
UNSUCCESSFUL: Final = frozenset({RunState.FAILED, RunState.ROLLED_BACK, RunState.ESCALATED})


class StepState(models.TextChoices):
    """`verifying`: its action ended, and what verifies the step has not come true yet. `unknown`:
    whoever ran it died meanwhile, so that it is verified before it is run again."""

    PENDING = "pending", "pending"
    RUNNING = "running", "running"
    VERIFYING = "verifying", "verifying"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    UNKNOWN = "unknown", "unknown"
    SKIPPED = "skipped", "skipped"
    COMPENSATED = "compensated", "undone"


class Strategy(models.TextChoices):
    """`sequence`: all steps, then one verification. `ladder`: steps are rungs; after each the
    target is verified, and the first rung that heals it is the last that is climbed."""

    SEQUENCE = "sequence", "in sequence"
    LADDER = "ladder", "rung by rung"


class OpportunityState(models.TextChoices):
    """`open`: something could be healed and no run does it. `taken`: a run came of it."""

    OPEN = "open", "open"
    TAKEN = "taken", "taken"
    ENDED = "ended", "over by itself"
    DISMISSED = "dismissed", "dismissed"


class Ruling(models.TextChoices):
    """What a guardrail says. `approve`: only with a person's yes."""

    PASS = "pass", "pass"
    APPROVE = "approve", "only with approval"
    REFUSE = "refuse", "refused"
