"""How patterns hang together: which precedes which, and which were put together."""

from __future__ import annotations

from django.db import models

from analytics.choices import MergeOrigin


class PatternRelation(models.Model):
    """That errors of one pattern precede those of another.

    Over the windows of the range: `support` counts those with both in this order, `confidence` is
    the share of the first's windows that the second followed, `lift` that share over the share by
    chance, `lag_seconds` the median time between them.
    """

    before_id = models.UUIDField()
    after_id = models.UUIDField()
    support = models.IntegerField()
    confidence = models.FloatField()
    lift = models.FloatField()
    lag_seconds = models.FloatField()
    since = models.DateTimeField()
    until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["before_id", "after_id"], name="patternrelation_pair")
        ]
        indexes = [models.Index(fields=["after_id"], name="patternrelation_after")]

    def __str__(self) -> str:
        return f"{self.before_id} → {self.after_id}"


class PatternMerge(models.Model):
    """That a pattern was put into another one, by whom and why; kept when it is undone.

    A pair that a person parted (`undone_at`, `undone_by` not the machine) is not put together by
    the machine again.
    """

    pattern_id = models.UUIDField(db_index=True)
    into_id = models.UUIDField(db_index=True)
    origin = models.CharField(max_length=7, choices=MergeOrigin)
    reason = models.TextField()
    actor = models.TextField()
    made_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.pattern_id} into {self.into_id}"
