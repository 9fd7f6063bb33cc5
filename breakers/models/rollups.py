"""Counts over time, added to in the transaction that stores what they count.

All are partitioned by time, hence unmanaged. Their database keys are composite, which the admin
refuses, so an identity column serves Django as the key.
"""

from __future__ import annotations

from django.db import models


class Rollup(models.Model):
    """What all of them have."""

    id = models.BigAutoField(primary_key=True)
    service = models.TextField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} of {self.service}"


class CallCounts(Rollup):
    """Calls of a breaker by outcome. `calls` are those that succeeded or failed; `ignored` and
    `rejected` ones stand beside them. `seconds` is what the calls took in all."""

    name = models.TextField()
    calls = models.BigIntegerField()
    failures = models.BigIntegerField()
    ignored = models.BigIntegerField()
    slow = models.BigIntegerField()
    rejected = models.BigIntegerField()
    seconds = models.FloatField()

    class Meta:
        abstract = True


class CallRollup(CallCounts):
    """Calls in one instance and ten seconds, for what is shown live."""

    at = models.DateTimeField()
    instance = models.TextField()

    class Meta:
        managed = False
        db_table = "breakers_callrollup"


class CallMinute(CallCounts):
    """Calls of all instances in one minute."""

    minute = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "breakers_callminute"


class RetryRollup(Rollup):
    """Attempts of a dependency's retries in one minute, by classification and outcome.

    `outcome` is `retried`, `succeeded` (after a retry), or why no further attempt was made.
    """

    minute = models.DateTimeField()
    dependency = models.TextField()
    classification = models.TextField()
    outcome = models.TextField()
    attempts = models.BigIntegerField()
    delay_ms = models.FloatField()

    class Meta:
        managed = False
        db_table = "breakers_retryrollup"


class FallbackRollup(Rollup):
    """Answers in place of failed ones in one minute, by where they came from. Ages in seconds, of
    those `aged` answers that have one."""

    minute = models.DateTimeField()
    dependency = models.TextField()
    source = models.TextField()
    served = models.BigIntegerField()
    aged = models.BigIntegerField()
    age_sum = models.FloatField()
    age_max = models.FloatField(null=True)

    class Meta:
        managed = False
        db_table = "breakers_fallbackrollup"


class BulkheadRollup(Rollup):
    """Calls that a bulkhead rejected in one minute, by tier and reason."""

    minute = models.DateTimeField()
    name = models.TextField()
    tier = models.TextField()
    reason = models.TextField()
    rejected = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "breakers_bulkheadrollup"


class OutcomeBatch(models.Model):
    """Recorded outcomes of a breaker in one instance, as it sent them (`breakers.runtime.outcomes`).

    `at` is when it was recorded. Partitioned by hour.
    """

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    service = models.TextField()
    name = models.TextField()
    instance = models.TextField()
    data = models.BinaryField()

    class Meta:
        managed = False
        db_table = "breakers_outcomebatch"

    def __str__(self) -> str:
        return f"{self.at} {self.service} {self.name} {self.instance}"
