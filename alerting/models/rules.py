"""What is watched: rules, and how far each has been evaluated."""

from __future__ import annotations

import uuid

from django.db import models

from alerting.choices import Origin, Severity


class AlertRule(models.Model):
    """A condition over journal entries or figures, and what is said when it holds.

    `condition` is the JSON form that `alerting.domain.rules` reads. `labels` and the texts are
    templates over the labels and facts of the alert.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The label `alertname` of its alerts.
    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    severity = models.CharField(max_length=6, choices=Severity)
    condition = models.JSONField()
    # How long the condition must hold before the alert fires, and must be gone before it resolves.
    for_seconds = models.PositiveIntegerField(default=0)
    keep_firing_seconds = models.PositiveIntegerField(default=0)
    labels = models.JSONField(default=dict, blank=True)
    summary = models.TextField()
    details = models.TextField(blank=True, default="")
    # A whole URL, or the path of a runbook of this site: `/runbooks/NAME`.
    runbook_url = models.CharField(max_length=500, blank=True, default="")
    enabled = models.BooleanField(default=True)
    origin = models.CharField(max_length=7, choices=Origin, default=Origin.PERSON)
    # Of the shipped form that the row was last made from; a row that a person changed keeps it.
    shipped_digest = models.CharField(max_length=64, blank=True, default="")
    changed_by_person = models.BooleanField(default=False)
    # Why the rule could not be evaluated lately, and since when; empty while it can.
    fault = models.TextField(blank=True, default="")
    faulty_since = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    changed_by = models.TextField(blank=True, default="")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class RuleProgress(models.Model):
    """How far a rule has been evaluated, and what its state machine holds there."""

    rule = models.OneToOneField(
        AlertRule, primary_key=True, on_delete=models.CASCADE, related_name="progress"
    )
    # Of the version of the rule that `state` belongs to.
    rule_version = models.PositiveIntegerField(default=0)
    # The last entry of the journal that was read, and the moment up to which figures were.
    cursor = models.BigIntegerField(default=0)
    evaluated_until = models.DateTimeField(null=True)
    state = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "progress of rules"

    def __str__(self) -> str:
        return f"{self.rule_id} until {self.evaluated_until}"
