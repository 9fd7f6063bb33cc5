"""Which of the runs that hours count were in maintenance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import migrations, models

from health.models.partitions import result_retention

COLUMN = (
    "ALTER TABLE health_checkhour ADD COLUMN maintenance_latency_counts jsonb NOT NULL DEFAULT '{}'"
)
AGAIN = """
UPDATE health_checkstatus s SET hours_from = LEAST(s.hours_from, summed.first)
FROM (
    SELECT check_id, min(hour) AS first FROM health_checkhour WHERE hour >= %s
        AND maintenance_up + maintenance_degraded + maintenance_down + maintenance_unreachable
            + maintenance_unknown > 0
    GROUP BY check_id
) summed WHERE s.check_id = summed.check_id
"""


def sum_again(apps: Any, schema_editor: Any) -> None:
    """Have the hours with maintenance summed up again, as far back as there are results."""
    oldest = datetime.now(UTC) - result_retention()
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(AGAIN, [oldest.replace(minute=0, second=0, microsecond=0)])


class Migration(migrations.Migration):
    dependencies = [("health", "0006_dependency_managed_by")]

    operations = [
        migrations.AddField(
            model_name="checkhour",
            name="maintenance_latency_counts",
            field=models.JSONField(),
        ),
        # Results wait behind whoever waits for this lock: it gives up soon, to be run again.
        migrations.RunSQL(
            sql=[
                "SET LOCAL lock_timeout = '5s'",
                COLUMN,
                "SET LOCAL lock_timeout TO DEFAULT",
            ],
            reverse_sql="ALTER TABLE health_checkhour DROP COLUMN maintenance_latency_counts",
        ),
        migrations.RunPython(sum_again, migrations.RunPython.noop),
    ]
