"""The big, time-partitioned tables. Their partitions are made by `resilience_site.core.partitions`."""

from __future__ import annotations

from django.db import migrations

_SECONDS = ", ".join(
    f"{prefix}{state} real NOT NULL DEFAULT 0"
    for prefix in ("", "maintenance_")
    for state in ("up", "degraded", "down", "unreachable", "unknown")
)

RESULTS = """
CREATE TABLE health_checkresult (
    at timestamptz NOT NULL,
    check_id uuid NOT NULL,
    latency_ms real,
    late_ms real,
    status text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL,
    output text NOT NULL,
    observed jsonb,
    PRIMARY KEY (check_id, at)
) PARTITION BY RANGE (at);
"""

MINUTES = f"""
CREATE TABLE health_checkminute (
    minute timestamptz NOT NULL,
    check_id uuid NOT NULL,
    {_SECONDS},
    PRIMARY KEY (check_id, minute)
) PARTITION BY RANGE (minute);
"""

HOURS = f"""
CREATE TABLE health_checkhour (
    hour timestamptz NOT NULL,
    check_id uuid NOT NULL,
    {_SECONDS},
    runs integer NOT NULL DEFAULT 0,
    latency_sum double precision NOT NULL DEFAULT 0,
    latency_counts jsonb NOT NULL DEFAULT '{{}}',
    PRIMARY KEY (check_id, hour)
) PARTITION BY RANGE (hour);
"""

TABLES = ["health_checkresult", "health_checkminute", "health_checkhour"]


class Migration(migrations.Migration):
    dependencies = [("health", "0003_checks")]

    operations = [
        migrations.RunSQL(
            sql=RESULTS + MINUTES + HOURS,
            reverse_sql="".join(f"DROP TABLE {table}; " for table in TABLES),
        )
    ]
