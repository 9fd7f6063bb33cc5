"""Figures per hour that are not of calls, so that they outlive the chains and gauges they are of."""

from __future__ import annotations

from django.db import migrations, models

# As every index that is added to a partitioned table here, this one is made in one go, since
# PostgreSQL makes none of all partitions CONCURRENTLY: chains wait until it is there, while errors
# are taken in as ever. It is a summarising index, made by reading the table once.
HOURS = """
CREATE TABLE analytics_figurehour (
    hour timestamptz NOT NULL,
    metric text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    value double precision NOT NULL,
    count bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (hour, metric, service)
) PARTITION BY RANGE (hour);
CREATE INDEX analytics_figurehour_service ON analytics_figurehour (metric, service, hour);
CREATE INDEX analytics_correlationchain_updated ON analytics_correlationchain
    USING brin (updated_at) WITH (pages_per_range = 16, autosummarize = on);
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0015_service_silence")]

    operations = [
        migrations.CreateModel(
            name="FigureHour",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("hour", models.DateTimeField()),
                ("metric", models.TextField()),
                ("service", models.TextField()),
                ("value", models.FloatField()),
                ("count", models.BigIntegerField()),
            ],
            options={"db_table": "analytics_figurehour", "managed": False},
        ),
        migrations.RunSQL(
            sql=HOURS,
            reverse_sql="DROP TABLE analytics_figurehour; "
            "DROP INDEX analytics_correlationchain_updated;",
        ),
    ]
