"""Errors and patterns of whole steps, so that a quarter of a year is read without its patterns."""

from __future__ import annotations

from django.db import migrations, models

# What the hours say already, so that long ranges are whole at once.
FILL = """
INSERT INTO analytics_errortotal (hours, service, at, errors, patterns)
SELECT length, coalesce(service, ''), at, sum(errors)::bigint,
    count(*) FILTER (WHERE errors > 0)
FROM (
    SELECT length, service, pattern_id, sum(errors) AS errors,
        date_bin(make_interval(hours => length), hour, 'epoch'::timestamptz) AS at
    FROM analytics_errorrolluphour, unnest(ARRAY[1, 3, 6, 12, 24]) AS lengths (length)
    GROUP BY length, service, pattern_id, at
) AS by_pattern
GROUP BY GROUPING SETS ((length, at, service), (length, at))
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0012_pattern_room")]

    operations = [
        migrations.CreateModel(
            name="ErrorTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("hours", models.SmallIntegerField()),
                ("service", models.TextField(db_collation="C")),
                ("at", models.DateTimeField()),
                ("errors", models.BigIntegerField()),
                ("patterns", models.IntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("hours", "service", "at"), name="errortotal_step"
                    )
                ]
            },
        ),
        migrations.RunSQL(sql=FILL, reverse_sql=migrations.RunSQL.noop),
    ]
