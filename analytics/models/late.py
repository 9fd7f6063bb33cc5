"""Figures that came late: what live evaluation did not know of at the end of their minute."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models

from analytics.choices import LateKind

# Rules are tried on a week at once and read a day before it; a week that is over can be tried for
# as long again.
LATE_KEPT: Final = timedelta(days=16)


class LateFigure(models.Model):
    """The part of a service's calls, or of its errors, of a minute that was stored so late that it
    counts only at ends of minutes from `known_from` on. The rollups hold it as well.

    Of calls, as of a service's total, `buckets` are those of its durations and `longest_ns` is the
    longest; of errors, `errors` is all there is, less what was taken back.
    """

    id = models.BigAutoField(primary_key=True)
    known_from = models.DateTimeField()
    service = models.TextField()
    minute = models.DateTimeField()
    kind = models.CharField(max_length=6, choices=LateKind)
    calls = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    longest_ns = models.BigIntegerField(default=0)
    buckets = ArrayField(models.IntegerField(), default=list)

    class Meta:
        indexes = [models.Index(fields=["minute"], name="latefigure_minute")]
        constraints = [
            # Read by what was not known yet at a moment.
            models.UniqueConstraint(
                fields=["known_from", "service", "minute", "kind"], name="latefigure_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.minute} {self.kind}"
