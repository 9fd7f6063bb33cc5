"""Checks: what is probed and how, and what is known of it now."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from health.choices import DependencyStatus, HealthState, ResultStatus
from health.models.catalogue import Service

NAME = 200


class Check(models.Model):
    """A probe of one target, repeated at an interval.

    `target` holds the options of the kind for people to see, its secrets replaced by a mask;
    `sealed_target` holds them whole, encrypted (`resilience_site.core.sealing`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=NAME, unique=True)
    service = models.ForeignKey(
        Service,
        on_delete=models.PROTECT,
        to_field="name",
        related_name="checks",
        db_column="service",
    )
    kind = models.CharField(max_length=30)
    target = models.JSONField(default=dict)
    sealed_target = models.TextField()
    # SHA-256 of a push check's token, by which a heartbeat finds its check.
    push_digest = models.CharField(max_length=64, null=True, unique=True, editable=False)
    interval_seconds = models.FloatField()
    timeout_seconds = models.FloatField()
    failures_to_down = models.PositiveSmallIntegerField(default=3)
    successes_to_up = models.PositiveSmallIntegerField(default=2)
    # A run that succeeds but takes longer is `degraded`.
    degraded_above_ms = models.FloatField(null=True, blank=True)
    # How long a confirmed failure waits for its parents' own results before anybody is told.
    settle_seconds = models.FloatField(default=15.0)
    # Whether its failure is the failure of its service; otherwise it only degrades it.
    critical = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True)
    description = models.TextField(blank=True, default="")
    runbook_url = models.URLField(blank=True, default="")
    # The file that `health_apply` read it from; empty when made by hand.
    managed_by = models.CharField(max_length=NAME, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(interval_seconds__gt=0), name="check_interval"),
            models.CheckConstraint(condition=Q(timeout_seconds__gt=0), name="check_timeout"),
        ]

    def __str__(self) -> str:
        return self.name


class CheckStatus(models.Model):
    """What the runs of a check have come to: its claim, its own state, its state in the graph.

    Claim and own state are written by whoever holds the claim (`fence`); `state`, `since` and
    `culprit` only by the evaluation of the graph, under its lock.
    """

    check_row = models.OneToOneField(
        Check,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="status",
        db_column="check_id",
    )
    # --- The claim
    # Null while the check is switched off.
    next_due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(default=0)
    # A run that was asked for while one was under way.
    run_again = models.BooleanField(default=False)
    # Until then it is probed faster, because it or a dependent of it failed.
    suspected_until = models.DateTimeField(null=True)
    # --- Its own state, by thresholds
    own_state = models.CharField(max_length=12, choices=HealthState, default=HealthState.UNKNOWN)
    own_since = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    successes = models.PositiveIntegerField(default=0)
    # When the present run of failures, or of successes, began.
    streak_since = models.DateTimeField(null=True)
    # The last 21 conclusive results, oldest first: u up, g degraded, d down.
    history = models.CharField(max_length=21, blank=True, default="")
    flapping = models.BooleanField(default=False)
    # --- Its state in the graph
    state = models.CharField(max_length=12, choices=HealthState, default=HealthState.UNKNOWN)
    since = models.DateTimeField()
    culprit = models.ForeignKey(
        Check, on_delete=models.SET_NULL, null=True, related_name="blamed_by"
    )
    # --- The last run
    last_run_at = models.DateTimeField(null=True)
    last_conclusive_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_status = models.CharField(max_length=14, choices=ResultStatus, blank=True, default="")
    last_latency_ms = models.FloatField(null=True)
    last_output = models.TextField(blank=True, default="")
    # Measurements of the last run by name, each {"value": number, "unit": text}.
    last_observed = models.JSONField(default=dict)
    # What a kind remembers from run to run.
    memory = models.JSONField(default=dict)
    # The last heartbeat of a push check, what it said of itself and the rest of its words.
    pushed_at = models.DateTimeField(null=True)
    pushed_status = models.CharField(max_length=14, choices=ResultStatus, blank=True, default="")
    pushed_output = models.TextField(blank=True, default="")
    # The first minute that is not summed up yet, or must be summed up again.
    minutes_from = models.DateTimeField()
    # The same of hours; null before the first minute was.
    hours_from = models.DateTimeField(null=True)

    class Meta:
        ordering = ["check_row"]
        indexes = [
            # The claim of due checks.
            models.Index(
                F("next_due_at"), name="check_due", condition=Q(next_due_at__isnull=False)
            ),
            # The sums of minutes.
            models.Index(F("minutes_from"), name="check_minutes"),
        ]

    def __str__(self) -> str:
        return f"{self.check_row_id} {self.state}"


class Dependency(models.Model):
    """An edge of the dependency graph: a child (a check or all of a service) needs a parent.

    A failing hard parent makes a failing child unreachable; a soft one only degrades it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    child_check = models.ForeignKey(
        Check, on_delete=models.CASCADE, null=True, blank=True, related_name="parent_edges"
    )
    child_service = models.ForeignKey(
        Service,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        to_field="name",
        related_name="parent_edges",
        db_column="child_service",
    )
    parent_check = models.ForeignKey(
        Check, on_delete=models.CASCADE, null=True, blank=True, related_name="child_edges"
    )
    parent_service = models.ForeignKey(
        Service,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        to_field="name",
        related_name="child_edges",
        db_column="parent_service",
    )
    hard = models.BooleanField(default=True)
    status = models.CharField(max_length=10, choices=DependencyStatus)
    # For proposals: the calls that were seen, and when last.
    calls = models.BigIntegerField(default=0)
    last_seen = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.TextField(blank=True, default="")
    reason = models.TextField(blank=True, default="")
    # The file that `health_apply` read it from; empty when declared by hand or proposed.
    managed_by = models.CharField(max_length=NAME, blank=True, default="", db_default="")

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name_plural = "dependencies"
        constraints = [
            models.CheckConstraint(
                condition=Q(child_check__isnull=True) ^ Q(child_service__isnull=True),
                name="dependency_one_child",
            ),
            models.CheckConstraint(
                condition=Q(parent_check__isnull=True) ^ Q(parent_service__isnull=True),
                name="dependency_one_parent",
            ),
            models.UniqueConstraint(
                fields=["child_check", "child_service", "parent_check", "parent_service"],
                nulls_distinct=False,
                name="dependency_once",
            ),
        ]

    def __str__(self) -> str:
        child = self.child_service_id or self.child_check_id
        return f"{child} needs {self.parent_service_id or self.parent_check_id}"
