"""Error events, the stack traces they share, and the patterns they form."""

from __future__ import annotations

from django.db import models

from analytics.choices import ErrorSource, PatternState
from analytics.domain.fingerprints import OTHERS_RULE


class ErrorEvent(models.Model):
    """One failure. Partitioned by day of `occurred_at`; the database key is `(occurred_at, id)`.

    `id` carries its milliseconds and the hash of what makes it the same failure, so that a
    look-up by id reads one partition and a repeated report collides with the first.
    """

    id = models.UUIDField(primary_key=True)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    service = models.TextField()
    environment = models.TextField()
    instance = models.TextField()
    operation = models.TextField()
    type = models.TextField()
    message = models.TextField()
    severity = models.SmallIntegerField()
    source = models.SmallIntegerField(choices=ErrorSource)
    trace_id = models.TextField()
    span_id = models.TextField()
    correlation_id = models.TextField()
    pattern_id = models.UUIDField(null=True)
    stack_hash = models.UUIDField(null=True)
    attributes = models.JSONField()

    class Meta:
        managed = False
        db_table = "analytics_errorevent"

    def __str__(self) -> str:
        return f"{self.service}: {self.type}"


class StackTrace(models.Model):
    """A distinct stack trace, kept once however many errors carry it."""

    hash = models.UUIDField(primary_key=True)
    language = models.CharField(max_length=50)
    raw = models.TextField()
    frames = models.JSONField()
    first_seen = models.DateTimeField()
    last_seen = models.DateField(db_index=True)

    def __str__(self) -> str:
        return str(self.hash)


class ErrorPattern(models.Model):
    """A group of like errors of one service.

    `id` is made of the grouping version, the service and the fingerprint, so that every process
    knows it without asking the database.
    """

    id = models.UUIDField(primary_key=True)
    service = models.TextField()
    type = models.TextField()
    template = models.TextField()
    rule = models.TextField(help_text="Why these errors are together.")
    version = models.SmallIntegerField(help_text="Version of the grouping that made it.")
    state = models.CharField(max_length=12, choices=PatternState, default=PatternState.NEW)
    count = models.BigIntegerField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    last_error_id = models.UUIDField()
    state_changed_at = models.DateTimeField(null=True)
    state_reason = models.TextField(blank=True, db_default="", help_text="What made the state so.")
    resolved_in_version = models.TextField(
        blank=True, db_default="", help_text="Errors of earlier versions do not make it regressed."
    )
    ignored_until = models.DateTimeField(null=True)
    ignored_until_count = models.BigIntegerField(null=True, help_text="Of `count`.")
    ignored_until_escalating = models.BooleanField(db_default=False)
    escalates_above = models.FloatField(
        null=True, help_text="Errors an hour that its own history does not explain."
    )
    limit_at = models.DateTimeField(null=True, help_text="When that limit was worked out.")
    merged_into = models.UUIDField(null=True, help_text="The pattern that it is shown as part of.")

    class Meta:
        indexes = [
            models.Index(fields=["-last_seen", "-id"], name="pattern_newest"),
            models.Index(fields=["service", "-last_seen", "-id"], name="pattern_service_newest"),
            models.Index(
                fields=["merged_into"],
                condition=models.Q(merged_into__isnull=False),
                name="pattern_merged",
            ),
            models.Index(
                fields=["-last_seen"],
                condition=models.Q(rule=OTHERS_RULE),
                name="pattern_others",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.type}: {self.template}"


class PatternRelease(models.Model):
    """In which versions of its service (`service.version`) a pattern was seen."""

    pattern_id = models.UUIDField()
    version = models.TextField()
    count = models.BigIntegerField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["pattern_id", "version"], name="patternrelease_version")
        ]

    def __str__(self) -> str:
        return f"{self.pattern_id} in {self.version}"
