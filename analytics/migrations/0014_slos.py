"""Service level objectives."""

from __future__ import annotations

import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0013_error_totals"),
    ]

    operations = [
        migrations.CreateModel(
            name="Slo",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "service",
                    models.CharField(help_text="Its name in the catalogue.", max_length=200),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("availability", "availability"), ("latency", "latency")],
                        default="availability",
                        max_length=12,
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("traces", "calls seen in traces"),
                            ("checks", "time measured by checks"),
                        ],
                        default="traces",
                        max_length=6,
                    ),
                ),
                (
                    "objective",
                    models.FloatField(help_text="The share that has to be good, such as 0.999."),
                ),
                ("window_days", models.PositiveSmallIntegerField(default=30)),
                (
                    "threshold_ms",
                    models.FloatField(
                        blank=True,
                        help_text="A call that took longer is too slow; of latency alone.",
                        null=True,
                    ),
                ),
                (
                    "min_bad",
                    models.PositiveIntegerField(
                        help_text="Bad calls, or bad seconds of checks, below which no burn rate calls anybody."
                    ),
                ),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("default", "the site, by its availability target"),
                            ("person", "a person"),
                        ],
                        default="person",
                        max_length=7,
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.TextField()),
                ("changed_at", models.DateTimeField()),
                ("changed_by", models.TextField()),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
            ],
            options={
                "verbose_name": "SLO",
                "verbose_name_plural": "SLOs",
                "ordering": ["service", "kind", "window_days", "id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("deleted_at", None)),
                        fields=("service", "kind", "source", "window_days", "threshold_ms"),
                        name="slo_once",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("objective__gt", 0), ("objective__lt", 1)),
                        name="slo_objective",
                    ),
                ],
            },
        ),
    ]
