"""Figures of calls and errors per hour, and when those per minute last changed."""

from __future__ import annotations

from django.db import migrations

_TABLES = ("callrollup", "edgerollup", "errorrollup")

# A summarising index finds what changed without slowing the updates down.
_CHANGED = """
ALTER TABLE analytics_{table} ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX analytics_{table}_changed ON analytics_{table}
    USING brin (changed_at) WITH (pages_per_range = 16, autosummarize = on);
"""

HOURS = """
CREATE TABLE analytics_callrolluphour (
    hour timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    duration_ns bigint NOT NULL,
    duration_max_ns bigint NOT NULL,
    buckets bigint[] NOT NULL,
    changed_at timestamptz NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (hour, service, operation, kind)
) PARTITION BY RANGE (hour);
CREATE INDEX analytics_callrolluphour_service
    ON analytics_callrolluphour (service, operation, hour);

CREATE TABLE analytics_edgerolluphour (
    hour timestamptz NOT NULL,
    caller text COLLATE "C" NOT NULL,
    callee text COLLATE "C" NOT NULL,
    via varchar(4) NOT NULL,
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    duration_ns bigint NOT NULL,
    duration_max_ns bigint NOT NULL,
    buckets bigint[] NOT NULL,
    changed_at timestamptz NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (hour, caller, callee, via)
) PARTITION BY RANGE (hour);

CREATE TABLE analytics_errorrolluphour (
    hour timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    pattern_id uuid NOT NULL,
    errors bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (hour, service, pattern_id)
) PARTITION BY RANGE (hour);
CREATE INDEX analytics_errorrolluphour_service ON analytics_errorrolluphour (service, hour);
CREATE INDEX analytics_errorrolluphour_pattern ON analytics_errorrolluphour (pattern_id, hour);
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0006_explain_and_predict")]

    operations = [
        migrations.RunSQL(
            sql="".join(_CHANGED.format(table=table) for table in _TABLES) + HOURS,
            reverse_sql="".join(
                f"DROP TABLE analytics_{table}hour; "
                f"ALTER TABLE analytics_{table} DROP COLUMN changed_at; "
                for table in _TABLES
            ),
        )
    ]
