"""What came late, apart from the rollups, which hold it too."""

from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0017_name_room"),
    ]

    operations = [
        migrations.CreateModel(
            name="LateFigure",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("known_from", models.DateTimeField()),
                ("service", models.TextField()),
                ("minute", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[("calls", "calls"), ("errors", "errors")], max_length=6
                    ),
                ),
                ("calls", models.BigIntegerField(default=0)),
                ("errors", models.BigIntegerField(default=0)),
                ("longest_ns", models.BigIntegerField(default=0)),
                (
                    "buckets",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), default=list, size=None
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["minute"], name="latefigure_minute")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("known_from", "service", "minute", "kind"), name="latefigure_once"
                    )
                ],
            },
        ),
        # Null where nothing came late. All that comes in waits behind whoever waits for this lock: it
        # gives up soon, to be run again, rather than wait for a long report.
        migrations.RunSQL(
            sql=[
                "SET LOCAL lock_timeout = '5s'",
                "ALTER TABLE analytics_callrollup ADD COLUMN prompt_max_ns bigint",
                "SET LOCAL lock_timeout TO DEFAULT",
            ],
            reverse_sql="ALTER TABLE analytics_callrollup DROP COLUMN prompt_max_ns",
        ),
    ]
