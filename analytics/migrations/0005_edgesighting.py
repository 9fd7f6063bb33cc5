from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analytics", "0004_log_metric_tables")]

    operations = [
        migrations.CreateModel(
            name="EdgeSighting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("caller", models.TextField()),
                ("callee", models.TextField()),
                ("told_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("caller", "callee"), name="edgesighting_pair")
                ],
            },
        ),
    ]
