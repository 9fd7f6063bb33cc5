"""What people decide, and the document that carries it to the services."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from breakers.choices import (
    CommandOutcome,
    Ending,
    Level,
    MemberSource,
    OverrideScope,
    OverrideState,
    PolicySubject,
)
from breakers.models.telemetry import NAME


class ControlDocument(models.Model):
    """What a service is to work by: built from the rows below, one more version for each change.

    `document` holds what concerns single instances beside what concerns all
    (`breakers.domain.document`). The row is also the lock of everything that changes it.
    """

    service = models.CharField(max_length=NAME, primary_key=True)
    version = models.BigIntegerField(default=0)
    document = models.JSONField(default=dict)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["service"]

    def __str__(self) -> str:
        return f"{self.service} version {self.version}"


class Decision(models.Model):
    """Who decided, why, and until when."""

    reason = models.TextField()
    actor = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Override(Decision):
    """A state that a person forces upon a breaker, in one instance, in all of a service, or in
    every service of a failure domain. It is in force while `ended_at` is null."""

    scope = models.CharField(max_length=8, choices=OverrideScope)
    service = models.CharField(max_length=NAME, blank=True)
    name = models.CharField(max_length=NAME, blank=True)
    instance = models.CharField(max_length=NAME, blank=True)
    domain = models.CharField(max_length=NAME, blank=True)
    state = models.CharField(max_length=16, choices=OverrideState)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.TextField(blank=True)
    ending = models.CharField(max_length=8, choices=Ending, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "service", "name", "instance", "domain"],
                condition=Q(ended_at=None),
                name="override_in_force",
            )
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(ended_at=None), name="override_due"),
            models.Index(fields=["service", "name", "-created_at"], name="override_of_breaker"),
        ]

    def __str__(self) -> str:
        place = self.domain or f"{self.service} {self.name} {self.instance}".strip()
        return f"{place}: {self.state}"


class PolicyChange(models.Model):
    """The settings that the site gives a breaker or bulkhead from `created_at` on; the newest is
    in force.

    `policy` holds fields of the runtime's `BreakerPolicy` or `BulkheadPolicy`; an empty one gives
    none.
    """

    subject = models.CharField(
        max_length=8, choices=PolicySubject, default=PolicySubject.BREAKER, db_default="breaker"
    )
    service = models.CharField(max_length=NAME)
    name = models.CharField(max_length=NAME)
    number = models.IntegerField(help_text="1, 2, … for each of them.")
    policy = models.JSONField()
    before = models.JSONField()
    reason = models.TextField()
    actor = models.TextField()
    created_at = models.DateTimeField()
    rolled_back_to = models.IntegerField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "subject", "name", "number"], name="policy_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.subject} {self.name} policy {self.number}"


class Toggle(Decision):
    """A value that is switched while services run.

    `services` and `instances` say where it holds (empty: everywhere), `rollout` for which share of
    those who ask. With `expires_at` the value goes back to `resting` then; without a resting value
    the toggle is as if never set.
    """

    key = models.CharField(max_length=NAME, primary_key=True)
    value = models.JSONField(null=True)
    otherwise = models.JSONField(default=bool, null=True)
    rollout = models.FloatField(default=1.0)
    services = models.JSONField(default=list)
    instances = models.JSONField(default=list)
    owner = models.CharField(max_length=NAME, blank=True)
    description = models.TextField(blank=True)
    resting = models.JSONField(null=True, help_text="null, or what it was before: a mapping.")
    version = models.BigIntegerField(default=1)
    is_set = models.BooleanField(default=True, help_text="Whether services are told a value.")

    class Meta:
        ordering = ["key"]
        indexes = [models.Index(fields=["expires_at"], name="toggle_due")]

    def __str__(self) -> str:
        return self.key


class DegradedMode(Decision):
    """The level that a service is to run at, and what its users are told."""

    service = models.CharField(max_length=NAME, primary_key=True)
    level = models.CharField(max_length=10, choices=Level)
    notice = models.TextField(blank=True)
    version = models.BigIntegerField(default=1)

    class Meta:
        ordering = ["service"]
        indexes = [models.Index(fields=["expires_at"], name="degraded_due")]

    def __str__(self) -> str:
        return f"{self.service}: {self.level}"


class Notice(models.Model):
    """What users were told about a degraded service, for the public status page and its feed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    service = models.CharField(max_length=NAME)
    level = models.CharField(max_length=10, choices=Level)
    text = models.TextField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [models.Index(fields=["-started_at", "-id"], name="notice_newest")]
        constraints = [
            models.UniqueConstraint(
                fields=["service"], condition=Q(ended_at=None), name="notice_in_force"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.level}"


class Command(Decision):
    """Something that instances of a service are to do once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    service = models.CharField(max_length=NAME)
    instance = models.CharField(max_length=NAME, blank=True, help_text="Empty: every instance.")
    action = models.CharField(max_length=100)
    parameters = models.JSONField(default=dict)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(ended_at=None), name="command_due"),
            models.Index(fields=["service", "-created_at"], name="command_of_service"),
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.action}"


class CommandReport(models.Model):
    """What one instance reported of a command."""

    command = models.ForeignKey(Command, on_delete=models.CASCADE, related_name="reports")
    instance = models.CharField(max_length=NAME)
    outcome = models.CharField(max_length=16, choices=CommandOutcome)
    output = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["command", "instance"], name="report_of_instance")
        ]

    def __str__(self) -> str:
        return f"{self.command_id} {self.instance}: {self.outcome}"


class DomainMember(models.Model):
    """A breaker that belongs to a failure domain: it fails, and is cut off, with the others."""

    domain = models.CharField(max_length=NAME)
    service = models.CharField(max_length=NAME)
    name = models.CharField(max_length=NAME)
    source = models.CharField(max_length=8, choices=MemberSource)

    class Meta:
        ordering = ["domain", "service", "name"]
        constraints = [
            models.UniqueConstraint(fields=["domain", "service", "name"], name="domain_member")
        ]
        indexes = [models.Index(fields=["service", "name"], name="domain_of_breaker")]

    def __str__(self) -> str:
        return f"{self.domain}: {self.service} {self.name}"
