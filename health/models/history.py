"""What happened: results, changes of state, outages, and the seconds of each minute."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from health.choices import HealthState, ResultStatus, RunCause
from health.models.checks import Check


class CheckResult(models.Model):
    """One run. Partitioned by day of `at` (when it began); the key is `(check_id, at)`."""

    # Django wants one column for its key; no row is fetched by it.
    check_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    status = models.CharField(max_length=14, choices=ResultStatus)
    cause = models.CharField(max_length=10, choices=RunCause)
    latency_ms = models.FloatField(null=True)
    # How long after its time it began; null for runs that somebody asked for.
    late_ms = models.FloatField(null=True)
    output = models.TextField()
    observed = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "health_checkresult"

    def __str__(self) -> str:
        return f"{self.check_id} {self.at} {self.status}"


class StateChange(models.Model):
    """A check's state became another, in effect from `since`, which may lie before `at`, the
    moment it was found out (a failure is dated back to the first of its failed runs)."""

    id = models.BigAutoField(primary_key=True)
    check_row = models.ForeignKey(
        Check, on_delete=models.CASCADE, related_name="changes", db_column="check_id"
    )
    at = models.DateTimeField()
    since = models.DateTimeField()
    from_state = models.CharField(max_length=12, choices=HealthState)
    state = models.CharField(max_length=12, choices=HealthState)
    own_state = models.CharField(max_length=12, choices=HealthState)
    # Names the deepest failing ancestor; text, as a check may be gone later.
    culprit = models.CharField(max_length=200, blank=True, default="")
    reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-since", "-id"]
        indexes = [
            models.Index(fields=["check_row", "since", "id"], name="change_of_check"),
            # The last one written that holds at a time: where one is dated back, the order of
            # `since` is not that of writing.
            models.Index(fields=["check_row", "id"], name="change_written"),
            models.Index(fields=["at"], name="change_at"),
        ]

    def __str__(self) -> str:
        return f"{self.check_row_id} {self.from_state} → {self.state}"


class Outage(models.Model):
    """A confirmed failure of a check, from its first failed run to its first good one.

    Its alert is due when the settle time is over, and goes out only when nothing explains the
    failure: `held_by` says what does. `announced_at` is when it went out; only then is its end
    announced too, and then always.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    check_row = models.ForeignKey(
        Check, on_delete=models.CASCADE, related_name="outages", db_column="check_id"
    )
    started_at = models.DateTimeField()
    confirmed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    announce_at = models.DateTimeField()
    announced_at = models.DateTimeField(null=True)
    # Why nobody was told: "unreachable", "maintenance", "flapping", "settling", "recovered"; empty
    # once somebody was.
    held_by = models.CharField(max_length=20, blank=True, default="")
    culprit = models.CharField(max_length=200, blank=True, default="")
    output = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-started_at", "id"]
        indexes = [
            models.Index(fields=["check_row", "started_at"], name="outage_of_check"),
            models.Index(
                fields=["announce_at"],
                name="outage_to_announce",
                condition=Q(ended_at__isnull=True, announced_at__isnull=True),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["check_row"], condition=Q(ended_at__isnull=True), name="outage_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.check_row_id} {self.started_at}"


class SecondsByState(models.Model):
    """Seconds spent in each state, split by whether maintenance was on, so that each policy of
    what counts as good, bad or excluded can be applied afterwards.

    In maintenance, the state is what it would have been without.
    """

    up = models.FloatField()
    degraded = models.FloatField()
    down = models.FloatField()
    unreachable = models.FloatField()
    unknown = models.FloatField()
    maintenance_up = models.FloatField()
    maintenance_degraded = models.FloatField()
    maintenance_down = models.FloatField()
    maintenance_unreachable = models.FloatField()
    maintenance_unknown = models.FloatField()

    class Meta:
        abstract = True


class CheckMinute(SecondsByState):
    """The seconds of one minute. Partitioned by day; the key is `(check_id, minute)`."""

    # Django wants one column for its key; no row is fetched by it.
    check_id = models.UUIDField(primary_key=True)
    minute = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "health_checkminute"

    def __str__(self) -> str:
        return f"{self.check_id} {self.minute}"


class CheckHour(SecondsByState):
    """The sums of one hour, with the latencies of its runs as counts per bucket of
    `health.domain.latency`. Partitioned by day; the key is `(check_id, hour)`."""

    check_id = models.UUIDField(primary_key=True)
    hour = models.DateTimeField()
    runs = models.IntegerField()
    latency_sum = models.FloatField()
    # Bucket index → count, as JSON because few of the buckets are used.
    latency_counts = models.JSONField()
    # Those of them that began in maintenance.
    maintenance_latency_counts = models.JSONField()

    class Meta:
        managed = False
        db_table = "health_checkhour"

    def __str__(self) -> str:
        return f"{self.check_id} {self.hour}"


class ServiceHour(SecondsByState):
    """The seconds of one hour of a service: at each moment it is in the state of its worst
    critical check. Partitioned by day; the key is `(service, hour)`."""

    service = models.CharField(max_length=200, primary_key=True)
    hour = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "health_servicehour"

    def __str__(self) -> str:
        return f"{self.service} {self.hour}"
