"""Errors that no id joins are looked for every few seconds."""

from __future__ import annotations

from django.db import migrations

INDEX = """
CREATE INDEX analytics_errorevent_loose ON analytics_errorevent (occurred_at)
    WHERE trace_id = '' AND correlation_id = '';
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0010_anomaly_unit")]

    operations = [
        migrations.RunSQL(sql=INDEX, reverse_sql="DROP INDEX analytics_errorevent_loose;")
    ]
