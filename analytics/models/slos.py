"""Service level objectives."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from analytics.choices import SloKind, SloOrigin, SloSource
from analytics.domain.slos.objectives import Objective


class Slo(models.Model):
    """How much of a service's calls, of its measured time, or of the runs of its checks has to be
    good over a window.

    Rows of origin `default` follow the site's availability target until a person changes them.
    Deleted ones stay, so that the site does not make them again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    service = models.CharField(max_length=200, help_text="Its name in the catalogue.")
    kind = models.CharField(max_length=12, choices=SloKind, default=SloKind.AVAILABILITY)
    source = models.CharField(max_length=6, choices=SloSource, default=SloSource.TRACES)
    objective = models.FloatField(help_text="The share that has to be good, such as 0.999.")
    window_days = models.PositiveSmallIntegerField(default=30)
    threshold_ms = models.FloatField(
        null=True,
        blank=True,
        help_text="A call, or a run of a check, that took longer is too slow; of latency alone.",
    )
    min_bad = models.PositiveIntegerField(
        help_text="Bad calls, seconds or runs of checks, below which no burn rate calls anybody."
    )
    origin = models.CharField(max_length=7, choices=SloOrigin, default=SloOrigin.PERSON)
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.TextField()
    changed_at = models.DateTimeField()
    changed_by = models.TextField()
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["service", "kind", "window_days", "id"]
        verbose_name = "SLO"
        verbose_name_plural = "SLOs"
        constraints = [
            models.UniqueConstraint(
                fields=["service", "kind", "source", "window_days", "threshold_ms"],
                condition=Q(deleted_at=None),
                nulls_distinct=False,
                name="slo_once",
            ),
            models.CheckConstraint(
                condition=Q(objective__gt=0, objective__lt=1), name="slo_objective"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.kind} {self.objective}"

    @property
    def terms(self) -> Objective:
        """What the arithmetic needs of it."""
        return Objective(
            kind=self.kind,
            source=self.source,
            objective=self.objective,
            window_days=self.window_days,
            min_bad=self.min_bad,
            threshold_ms=self.threshold_ms,
        )
