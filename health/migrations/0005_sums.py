"""What the sums of minutes and hours need: their place, their reads, the hours of services."""

from __future__ import annotations

from django.db import migrations, models

_SECONDS = ", ".join(
    f"{prefix}{state} real NOT NULL DEFAULT 0"
    for prefix in ("", "maintenance_")
    for state in ("up", "degraded", "down", "unreachable", "unknown")
)

SERVICE_HOURS = f"""
CREATE TABLE health_servicehour (
    hour timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    {_SECONDS},
    PRIMARY KEY (service, hour)
) PARTITION BY RANGE (hour);
"""


class Migration(migrations.Migration):
    dependencies = [("health", "0004_partitioned_tables")]

    operations = [
        migrations.AddField(
            model_name="checkstatus",
            name="hours_from",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="statechange",
            index=models.Index(fields=["check_row", "id"], name="change_written"),
        ),
        migrations.CreateModel(
            name="ServiceHour",
            fields=[
                ("up", models.FloatField()),
                ("degraded", models.FloatField()),
                ("down", models.FloatField()),
                ("unreachable", models.FloatField()),
                ("unknown", models.FloatField()),
                ("maintenance_up", models.FloatField()),
                ("maintenance_degraded", models.FloatField()),
                ("maintenance_down", models.FloatField()),
                ("maintenance_unreachable", models.FloatField()),
                ("maintenance_unknown", models.FloatField()),
                (
                    "service",
                    models.CharField(max_length=200, primary_key=True, serialize=False),
                ),
                ("hour", models.DateTimeField()),
            ],
            options={"db_table": "health_servicehour", "managed": False},
        ),
        migrations.RunSQL(sql=SERVICE_HOURS, reverse_sql="DROP TABLE health_servicehour"),
    ]
