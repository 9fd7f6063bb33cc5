"""What services tell of their breakers, retries, fallbacks and bulkheads."""

from __future__ import annotations

from django.db import models

from breakers.choices import BreakerState

NAME = 200


class Instance(models.Model):
    """One process of a service, known by its `service.instance.id`.

    `applied_version` is the version of the control document that its last poll acknowledged.
    `started_at` is when its process began; `restarts` counts how often that changed.
    """

    service = models.CharField(max_length=NAME)
    instance = models.CharField(max_length=NAME)
    version = models.CharField(max_length=100, blank=True, default="")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField(db_index=True)
    started_at = models.DateTimeField(null=True)
    restarts = models.IntegerField(default=0)
    restarted_at = models.DateTimeField(null=True)
    polled_at = models.DateTimeField(null=True)
    applied_version = models.BigIntegerField(null=True)
    applied_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["service", "instance"]
        constraints = [
            models.UniqueConstraint(fields=["service", "instance"], name="instance_of_service")
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.instance}"


class Breaker(models.Model):
    """One breaker in one instance.

    `since` is when `state` began, `reason` what led to it, with the failure rate and the calls that
    its window held then. `policy` is what the breaker works by, as its service reported it.
    """

    service = models.CharField(max_length=NAME)
    name = models.CharField(max_length=NAME)
    instance = models.CharField(max_length=NAME, blank=True)
    key = models.CharField(max_length=16, help_text="Of service and name; what pages listen to.")
    state = models.CharField(max_length=16, choices=BreakerState)
    since = models.DateTimeField()
    reason = models.TextField(blank=True, default="")
    failure_rate = models.FloatField(null=True)
    window_calls = models.IntegerField(null=True)
    next_probe_at = models.DateTimeField(null=True)
    policy = models.JSONField(null=True)
    policy_at = models.DateTimeField(null=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        ordering = ["service", "name", "instance"]
        constraints = [
            models.UniqueConstraint(fields=["service", "name", "instance"], name="breaker_instance")
        ]
        indexes = [
            models.Index(fields=["key"], name="breaker_key"),
            models.Index(fields=["service", "instance"], name="breaker_of_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.name} {self.instance}"


class BreakerTransition(models.Model):
    """A breaker changed its state. `id` is made of what happened, so that it is stored once."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    service = models.CharField(max_length=NAME)
    name = models.CharField(max_length=NAME)
    instance = models.CharField(max_length=NAME, blank=True)
    from_state = models.CharField(max_length=16, choices=BreakerState)
    to_state = models.CharField(max_length=16, choices=BreakerState)
    reason = models.TextField(blank=True)
    failure_rate = models.FloatField(null=True)
    calls = models.IntegerField(null=True)
    trace_id = models.CharField(max_length=32, blank=True)
    received_at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="transition_newest"),
            models.Index(fields=["service", "name", "-at"], name="transition_of_breaker"),
        ]

    def __str__(self) -> str:
        return f"{self.at} {self.service} {self.name}: {self.from_state} to {self.to_state}"


class Bulkhead(models.Model):
    """A bulkhead in one instance, as its gauges said last."""

    service = models.CharField(max_length=NAME)
    name = models.CharField(max_length=NAME)
    instance = models.CharField(max_length=NAME, blank=True)
    active = models.IntegerField(null=True)
    queued = models.IntegerField(null=True)
    limit = models.IntegerField(null=True)
    last_seen = models.DateTimeField()

    class Meta:
        ordering = ["service", "name", "instance"]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "name", "instance"], name="bulkhead_instance"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.name} {self.instance}"


class BulkheadBreach(models.Model):
    """A bulkhead that did not isolate, and what was done about it."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    service = models.CharField(max_length=NAME)
    name = models.CharField(max_length=NAME)
    instance = models.CharField(max_length=NAME, blank=True)
    kind = models.CharField(max_length=100)
    mitigation = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="breach_newest"),
            models.Index(fields=["service", "name", "-at"], name="breach_of_bulkhead"),
        ]

    def __str__(self) -> str:
        return f"{self.at} {self.service} {self.name}: {self.kind}"


class RetryBudget(models.Model):
    """The retry budget of a dependency in one instance: calls and retries of its last minute, and
    the retries that are left."""

    service = models.CharField(max_length=NAME)
    dependency = models.CharField(max_length=NAME)
    instance = models.CharField(max_length=NAME, blank=True)
    calls = models.IntegerField(null=True)
    retries = models.IntegerField(null=True)
    left = models.IntegerField(null=True)
    last_seen = models.DateTimeField()

    class Meta:
        ordering = ["service", "dependency", "instance"]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "dependency", "instance"], name="retrybudget_instance"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.dependency} {self.instance}"
