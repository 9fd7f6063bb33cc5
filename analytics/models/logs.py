"""Log records: counted always, kept where they belong to a trace."""

from __future__ import annotations

from django.db import models


class LogTemplate(models.Model):
    """What the like log records of a service have in common: their message, values masked.

    `id` is made of the service and the template, so that every process knows it without asking.
    The template of all that came after a service had its fill is `(other)`.
    """

    id = models.UUIDField(primary_key=True)
    service = models.TextField(db_index=True)
    template = models.TextField()
    first_seen = models.DateTimeField()
    last_seen = models.DateField(db_index=True, help_text="The last day on which it was received.")

    def __str__(self) -> str:
        return f"{self.service}: {self.template}"


class LogRollup(models.Model):
    """Log records of one template and severity class in one minute.

    `severity` is the class of OTLP's number: 0 unset, 1 trace, 2 debug, 3 info, 4 warn, 5 error,
    6 fatal. The database key is composite, which the admin refuses, so an identity column serves
    Django as the key.
    """

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    service = models.TextField()
    template_id = models.UUIDField()
    severity = models.SmallIntegerField()
    records = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "analytics_logrollup"

    def __str__(self) -> str:
        return f"{self.minute} {self.service} {self.template_id}"


class LogRecord(models.Model):
    """One log record of a trace. Partitioned by hour of `time`; the database key is `(time, id)`,
    and `id` is made of the time and the content, so that a record sent twice collides with itself.
    """

    id = models.UUIDField(primary_key=True)
    time = models.DateTimeField()
    service = models.TextField()
    instance = models.TextField()
    scope = models.TextField()
    event_name = models.TextField()
    severity = models.SmallIntegerField(help_text="OTLP's number 1..24, 0 when unset.")
    trace_id = models.TextField()
    span_id = models.TextField()
    template_id = models.UUIDField()
    body = models.TextField()
    attributes = models.JSONField()

    class Meta:
        managed = False
        db_table = "analytics_logrecord"

    def __str__(self) -> str:
        return f"{self.service}: {self.body[:80]}"
