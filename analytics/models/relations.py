"""How patterns hang together: which precedes which, and which were put together."""

from __future__ import annotations

from django.db import models

from analytics.choices import DirectedBy, MergeOrigin


class PatternRelation(models.Model):
    """That errors of one pattern precede those of another.

    Over the spells of the range in which the first was seen (`before_spells`): `support` counts
    those that the second followed within `within_seconds`, `confidence` is their share, `lift`
    that share over the share by chance (`expected`), `lag_seconds` the median time to the second.
    `after_spells` counts those of the second.
    """

    before_id = models.UUIDField()
    after_id = models.UUIDField()
    support = models.IntegerField()
    confidence = models.FloatField()
    lift = models.FloatField()
    lag_seconds = models.FloatField()
    before_spells = models.IntegerField(db_default=0)
    after_spells = models.IntegerField(db_default=0)
    expected = models.FloatField(db_default=0.0, help_text="Share by chance, 0..1.")
    within_seconds = models.IntegerField(db_default=0)
    directed_by = models.CharField(
        max_length=10, choices=DirectedBy, db_default=DirectedBy.LAG, default=DirectedBy.LAG
    )
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
