"""What was done, what is being done and what could be: runs with their steps, opportunities."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from healing.choices import (
    OPEN,
    Mode,
    OpportunityState,
    RunState,
    StepState,
    TargetKind,
    TriggerKind,
)
from healing.models.workflows import Workflow


class Opportunity(models.Model):
    """Something that a workflow could heal, as long as it lasts: one row however often it is told.

    `verdicts` are those of the last look; `refused_by` names the guardrail that said no.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="opportunities")
    target_kind = models.CharField(max_length=7, choices=TargetKind)
    target = models.CharField(max_length=400)
    service = models.CharField(max_length=200)
    trigger_kind = models.CharField(max_length=15, choices=TriggerKind)
    # Names what failed: a check's id, a breaker's key, a pattern's id.
    trigger_key = models.CharField(max_length=400)
    # {"text", "link", "evidence": {…}}
    trigger = models.JSONField(default=dict)
    # The check whose passes verify the heal.
    check_id = models.UUIDField(null=True)
    state = models.CharField(max_length=9, choices=OpportunityState, default=OpportunityState.OPEN)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    verdicts = models.JSONField(default=list)
    refused_by = models.CharField(max_length=40, blank=True, default="")
    # When it is judged again; null once it is no longer open.
    next_look_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    dismissed_by = models.TextField(blank=True, default="")
    dismissed_reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-last_seen", "-id"]
        verbose_name_plural = "opportunities"
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "target_kind", "target", "trigger_key"],
                condition=Q(state=OpportunityState.OPEN),
                name="opportunity_open_once",
            ),
        ]
        indexes = [
            models.Index(
                F("next_look_at"),
                name="opportunity_due",
                condition=Q(next_look_at__isnull=False),
            ),
            models.Index(F("last_seen").desc(), name="opportunity_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.trigger_kind} {self.target}"


class HealingRun(models.Model):
    """One run of a workflow, with a frozen copy of it. Celery only says "look at run N".

    Whoever advances it holds its lease; each of its writes names the `fence` of that lease, and
    changes nothing once another holds it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The name stays where the workflow goes.
    workflow_row = models.ForeignKey(
        Workflow, on_delete=models.SET_NULL, null=True, related_name="runs", db_column="workflow_id"
    )
    workflow = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    definition = models.JSONField()
    target_kind = models.CharField(max_length=7, choices=TargetKind)
    target = models.CharField(max_length=400)
    service = models.CharField(max_length=200)
    mode = models.CharField(max_length=7, choices=Mode)
    state = models.CharField(max_length=16, choices=RunState, default=RunState.PENDING)
    trigger_kind = models.CharField(max_length=15, choices=TriggerKind)
    trigger_key = models.CharField(max_length=400, blank=True, default="")
    trigger = models.JSONField(default=dict)
    check_id = models.UUIDField(null=True)
    opportunity = models.ForeignKey(
        Opportunity, on_delete=models.SET_NULL, null=True, related_name="runs"
    )
    dry_run = models.BooleanField(default=False)
    # Why a person started it, and who did; the site's own name otherwise.
    reason = models.TextField(blank=True, default="")
    requested_by = models.TextField()
    # [{"name", "ruling", "reason", "facts"}], in the order of judging, up to the first refusal.
    guardrails = models.JSONField(default=list)
    refused_by = models.CharField(max_length=40, blank=True, default="")
    created_at = models.DateTimeField()
    # When it has to be looked at next; null once it is over.
    due_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # A run that is open by then is ended.
    deadline = models.DateTimeField()
    approve_until = models.DateTimeField(null=True)
    approved_by = models.TextField(blank=True, default="")
    approved_at = models.DateTimeField(null=True)
    # --- The lease
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(default=0)
    # --- Verification
    verify_since = models.DateTimeField(null=True)
    verify_until = models.DateTimeField(null=True)
    passes = models.PositiveSmallIntegerField(default=0)
    # Checks of neighbours that failed already when the run began.
    failing_before = models.JSONField(default=list)
    # --- What a person asked for while it ran
    cancel_asked_by = models.TextField(blank=True, default="")
    rollback_asked_by = models.TextField(blank=True, default="")
    asked_reason = models.TextField(blank=True, default="")
    # Whether it is undoing what it did, and why.
    undoing = models.TextField(blank=True, default="")
    # One sentence on how it ended, with what shows it.
    outcome = models.TextField(blank=True, default="")
    evidence = models.JSONField(default=dict)
    # A heal that held less than half an hour counts as failed.
    failed_again_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["target_kind", "target"],
                condition=Q(state__in=sorted(OPEN), dry_run=False),
                name="run_open_once",
            ),
        ]
        indexes = [
            models.Index(F("due_at"), name="run_due", condition=Q(due_at__isnull=False)),
            models.Index(F("created_at").desc(), F("id").desc(), name="run_recent"),
            models.Index(F("workflow"), F("ended_at").desc(), name="run_by_workflow"),
            models.Index(
                F("target_kind"), F("target"), F("created_at").desc(), name="run_by_target"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} on {self.target}: {self.state}"


class HealingStep(models.Model):
    """A step of a run. `before` is what was seen right before the action, by which it can be told
    whether an action that nobody saw the end of took effect, and by which it is undone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(HealingRun, on_delete=models.CASCADE, related_name="steps")
    n = models.PositiveSmallIntegerField()
    # Its id in the definition.
    name = models.CharField(max_length=100)
    # What it does, by the name of an action or of a way of the target.
    action = models.CharField(max_length=100)
    # The action that the way led to, once it is known, and its parameters without secrets.
    resolved = models.CharField(max_length=100, blank=True, default="")
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=11, choices=StepState, default=StepState.PENDING)
    attempt = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # The earliest moment of another attempt.
    retry_at = models.DateTimeField(null=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    # At most 64 KiB, cleaned of secrets. In a dry run: the exact effect that it would have.
    output = models.TextField(blank=True, default="")
    error = models.TextField(blank=True, default="")
    # How it was verified, where it is: {"words", "since", "until", "passes", "text", "well",
    # "rounds", "doubt"}. `rounds` counts attempts whose verification did not come true; `doubt`:
    # nobody saw the end of the action.
    verification = models.JSONField(default=dict, db_default={})
    # --- How it was undone
    undo_state = models.CharField(max_length=11, choices=StepState, blank=True, default="")
    undo_started_at = models.DateTimeField(null=True)
    undo_ended_at = models.DateTimeField(null=True)
    undo_output = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["run", "n"]
        constraints = [models.UniqueConstraint(fields=["run", "n"], name="step_once")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.n} {self.action}: {self.state}"
