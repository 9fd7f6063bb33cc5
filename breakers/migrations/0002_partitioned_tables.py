"""The big, time-partitioned tables. Their partitions are made by `resilience_site.core.partitions`."""

from __future__ import annotations

from django.db import migrations

_CALLS = """
    calls bigint NOT NULL,
    failures bigint NOT NULL,
    ignored bigint NOT NULL,
    slow bigint NOT NULL,
    rejected bigint NOT NULL,
    seconds double precision NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
"""

CALLS = f"""
CREATE TABLE breakers_callrollup (
    at timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    {_CALLS}
    PRIMARY KEY (at, service, name, instance)
) PARTITION BY RANGE (at);
CREATE INDEX breakers_callrollup_breaker ON breakers_callrollup (service, name, at);

CREATE TABLE breakers_callminute (
    minute timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    {_CALLS}
    PRIMARY KEY (minute, service, name)
) PARTITION BY RANGE (minute);
CREATE INDEX breakers_callminute_breaker ON breakers_callminute (service, name, minute);
"""

RETRIES = """
CREATE TABLE breakers_retryrollup (
    minute timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    dependency text COLLATE "C" NOT NULL,
    classification text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    attempts bigint NOT NULL,
    delay_ms double precision NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, service, dependency, classification, outcome)
) PARTITION BY RANGE (minute);
"""

FALLBACKS = """
CREATE TABLE breakers_fallbackrollup (
    minute timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    dependency text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    served bigint NOT NULL,
    aged bigint NOT NULL,
    age_sum double precision NOT NULL,
    age_max double precision,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, service, dependency, source)
) PARTITION BY RANGE (minute);
"""

BULKHEADS = """
CREATE TABLE breakers_bulkheadrollup (
    minute timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    tier text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    rejected bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, service, name, tier, reason)
) PARTITION BY RANGE (minute);
"""

OUTCOMES = """
CREATE TABLE breakers_outcomebatch (
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    service text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
-- It is compressed by whoever sent it.
ALTER TABLE breakers_outcomebatch ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX breakers_outcomebatch_breaker ON breakers_outcomebatch (service, name, at);
"""

TABLES = [
    "breakers_callrollup",
    "breakers_callminute",
    "breakers_retryrollup",
    "breakers_fallbackrollup",
    "breakers_bulkheadrollup",
    "breakers_outcomebatch",
]


class Migration(migrations.Migration):
    dependencies = [("breakers", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=CALLS + RETRIES + FALLBACKS + BULKHEADS + OUTCOMES,
            reverse_sql="".join(f"DROP TABLE {table}; " for table in TABLES),
        )
    ]
