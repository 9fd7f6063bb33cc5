"""What objectives said before they were changed."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0018_late_figures"),
    ]

    operations = [
        migrations.CreateModel(
            name="FormerSlo",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(db_index=True)),
                ("objective", models.FloatField()),
                ("window_days", models.PositiveSmallIntegerField()),
                ("threshold_ms", models.FloatField(null=True)),
                ("min_bad", models.PositiveIntegerField()),
                ("enabled", models.BooleanField()),
                (
                    "slo",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="former",
                        to="analytics.slo",
                    ),
                ),
            ],
            options={
                "ordering": ["slo", "since"],
            },
        ),
    ]
