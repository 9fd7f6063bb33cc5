"""The time-partitioned tables of logs and metrics."""

from __future__ import annotations

from django.db import migrations

LOGS = """
CREATE TABLE analytics_logrecord (
    time timestamptz NOT NULL,
    id uuid NOT NULL,
    service text COLLATE "C" NOT NULL,
    instance text NOT NULL,
    scope text NOT NULL,
    event_name text NOT NULL,
    severity smallint NOT NULL,
    trace_id text COLLATE "C" NOT NULL,
    span_id text COLLATE "C" NOT NULL,
    template_id uuid NOT NULL,
    body text NOT NULL,
    attributes jsonb NOT NULL,
    PRIMARY KEY (time, id)
) PARTITION BY RANGE (time);
CREATE INDEX analytics_logrecord_trace ON analytics_logrecord (trace_id);

CREATE TABLE analytics_logrollup (
    minute timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    template_id uuid NOT NULL,
    severity smallint NOT NULL,
    records bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, service, template_id, severity)
) PARTITION BY RANGE (minute);
CREATE INDEX analytics_logrollup_service ON analytics_logrollup (service, minute);
"""

_FIGURES = """
    points bigint NOT NULL,
    count bigint NOT NULL,
    total double precision,
    minimum double precision,
    maximum double precision,
    increase double precision,
    resets integer NOT NULL,
    last double precision,
    last_at timestamptz,
    distribution jsonb,
    changed_at timestamptz NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
"""

METRICS = f"""
CREATE TABLE analytics_metricrollup (
    minute timestamptz NOT NULL,
    series_id uuid NOT NULL,
    {_FIGURES}
    PRIMARY KEY (minute, series_id)
) PARTITION BY RANGE (minute);
CREATE INDEX analytics_metricrollup_series ON analytics_metricrollup (series_id, minute);
-- Hours are summed up again from the minutes that changed; a summarising index finds those
-- without slowing the updates down.
CREATE INDEX analytics_metricrollup_changed ON analytics_metricrollup
    USING brin (changed_at) WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE analytics_metricrolluphour (
    hour timestamptz NOT NULL,
    series_id uuid NOT NULL,
    {_FIGURES}
    PRIMARY KEY (hour, series_id)
) PARTITION BY RANGE (hour);
CREATE INDEX analytics_metricrolluphour_series ON analytics_metricrolluphour (series_id, hour);
"""

TABLES = [
    "analytics_logrecord",
    "analytics_logrollup",
    "analytics_metricrollup",
    "analytics_metricrolluphour",
]


class Migration(migrations.Migration):
    dependencies = [("analytics", "0003_logs_metrics_receipts")]

    operations = [
        migrations.RunSQL(
            sql=LOGS + METRICS,
            reverse_sql="".join(f"DROP TABLE {table}; " for table in TABLES),
        )
    ]
