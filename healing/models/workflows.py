"""What can be done: workflows with their versions, and how each service is reached for it."""

from __future__ import annotations

import uuid

from django.db import models

from healing.choices import Mode, Origin


class Workflow(models.Model):
    """A named way to heal. `definition` is the JSON form that `healing.domain.definition` reads,
    `text` the YAML that a person edits; both are those of the version `version`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    mode = models.CharField(max_length=7, choices=Mode, default=Mode.APPROVE)
    # Failed runs before this moment do not count against the mode.
    mode_changed_at = models.DateTimeField()
    # The person who set the mode; empty as long as nobody has.
    mode_changed_by = models.TextField(blank=True, default="")
    mode_reason = models.TextField(blank=True, default="")
    enabled = models.BooleanField(default=True)
    # Of two that answer to the same, the smaller number goes first.
    priority = models.PositiveSmallIntegerField(default=100)
    definition = models.JSONField()
    text = models.TextField()
    origin = models.CharField(max_length=7, choices=Origin, default=Origin.PERSON)
    # Of the shipped text that the row was last made from; a row that a person changed keeps it.
    shipped_digest = models.CharField(max_length=64, blank=True, default="")
    changed_by_person = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    changed_by = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["priority", "name"]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(models.Model):
    """A definition as it once was; never changed."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    text = models.TextField()
    at = models.DateTimeField()
    by = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["workflow", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="workflow_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_id} {self.number}"


class HealingTarget(models.Model):
    """How actions reach a service: for each way (`restart`, `recycle_pool`, `warm_cache`, …) the
    action and its parameters.

    `ways` is what people see, its secrets replaced by a mask; `sealed_ways` holds it whole.
    """

    service = models.CharField(primary_key=True, max_length=200)
    # Services of the same group limit each other: only a share of them is healed at a time.
    group = models.CharField(max_length=100, blank=True, default="")
    ways = models.JSONField(default=dict)
    sealed_ways = models.TextField()
    # The file that `healing_apply` read it from; empty when made by hand.
    managed_by = models.CharField(max_length=200, blank=True, default="")
    version = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField()
    changed_by = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["service"]

    def __str__(self) -> str:
        return self.service
