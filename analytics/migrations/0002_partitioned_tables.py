"""The big, time-partitioned tables. Their partitions are made by `resilience_site.core.partitions`."""

from __future__ import annotations

from django.db import migrations

SPANS = """
CREATE TABLE analytics_span (
    started_at timestamptz NOT NULL,
    id uuid NOT NULL,
    trace_id text COLLATE "C" NOT NULL,
    span_id text COLLATE "C" NOT NULL,
    parent_span_id text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    instance text NOT NULL,
    environment text NOT NULL,
    scope text NOT NULL,
    operation text NOT NULL,
    kind smallint NOT NULL,
    status smallint NOT NULL,
    status_message text NOT NULL,
    duration_ns bigint NOT NULL,
    attributes jsonb NOT NULL,
    events jsonb,
    links jsonb,
    PRIMARY KEY (started_at, id)
) PARTITION BY RANGE (started_at);
CREATE INDEX analytics_span_trace ON analytics_span (trace_id);
"""

ERRORS = """
CREATE TABLE analytics_errorevent (
    occurred_at timestamptz NOT NULL,
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    environment text NOT NULL,
    instance text NOT NULL,
    operation text NOT NULL,
    type text COLLATE "C" NOT NULL,
    message text NOT NULL,
    severity smallint NOT NULL,
    source smallint NOT NULL,
    trace_id text COLLATE "C" NOT NULL,
    span_id text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C" NOT NULL,
    pattern_id uuid,
    stack_hash uuid,
    attributes jsonb NOT NULL,
    PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX analytics_errorevent_service ON analytics_errorevent (service, occurred_at DESC);
CREATE INDEX analytics_errorevent_type ON analytics_errorevent (type, occurred_at DESC);
CREATE INDEX analytics_errorevent_pattern ON analytics_errorevent (pattern_id, occurred_at DESC);
CREATE INDEX analytics_errorevent_trace ON analytics_errorevent (trace_id)
    WHERE trace_id <> '';
CREATE INDEX analytics_errorevent_correlation ON analytics_errorevent (correlation_id)
    WHERE correlation_id <> '';
-- Asked for every batch of spans: was one of these failures already told by a log record?
CREATE INDEX analytics_errorevent_log_trace ON analytics_errorevent (trace_id)
    WHERE source = 2 AND trace_id <> '';
CREATE INDEX analytics_errorevent_words ON analytics_errorevent
    USING gin (analytics_words(type, message));
"""

CHAINS = """
CREATE TABLE analytics_correlationchain (
    opened_on date NOT NULL,
    id uuid NOT NULL,
    kind varchar(12) NOT NULL,
    trace_id text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C" NOT NULL,
    root_cause_id uuid NOT NULL,
    root_cause_service text COLLATE "C" NOT NULL,
    root_cause_type text NOT NULL,
    root_cause_message text NOT NULL,
    root_cause_operation text NOT NULL,
    services text[] NOT NULL,
    error_count integer NOT NULL,
    span_count integer NOT NULL,
    gap_count integer NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (opened_on, id)
) PARTITION BY RANGE (opened_on);
CREATE INDEX analytics_correlationchain_trace ON analytics_correlationchain (trace_id)
    WHERE trace_id <> '';
CREATE INDEX analytics_correlationchain_correlation ON analytics_correlationchain (correlation_id)
    WHERE correlation_id <> '';
CREATE INDEX analytics_correlationchain_newest ON analytics_correlationchain (started_at DESC, id DESC);
CREATE INDEX analytics_correlationchain_service
    ON analytics_correlationchain (root_cause_service, started_at DESC, id DESC);
CREATE INDEX analytics_correlationchain_services ON analytics_correlationchain USING gin (services);
"""

_FIGURES = """
    calls bigint NOT NULL,
    errors bigint NOT NULL,
    duration_ns bigint NOT NULL,
    duration_max_ns bigint NOT NULL,
    buckets integer[] NOT NULL,
"""

ROLLUPS = f"""
CREATE TABLE analytics_callrollup (
    minute timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    {_FIGURES}
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, service, operation, kind)
) PARTITION BY RANGE (minute);
CREATE INDEX analytics_callrollup_service
    ON analytics_callrollup (service, operation, minute);

CREATE TABLE analytics_edgerollup (
    minute timestamptz NOT NULL,
    caller text COLLATE "C" NOT NULL,
    callee text COLLATE "C" NOT NULL,
    via varchar(4) NOT NULL,
    {_FIGURES}
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, caller, callee, via)
) PARTITION BY RANGE (minute);

CREATE TABLE analytics_errorrollup (
    minute timestamptz NOT NULL,
    service text COLLATE "C" NOT NULL,
    pattern_id uuid NOT NULL,
    errors bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, service, pattern_id)
) PARTITION BY RANGE (minute);
CREATE INDEX analytics_errorrollup_pattern ON analytics_errorrollup (pattern_id, minute);

CREATE TABLE analytics_ingestrollup (
    minute timestamptz NOT NULL,
    signal varchar(10) NOT NULL,
    outcome varchar(10) NOT NULL,
    reason text NOT NULL,
    items bigint NOT NULL,
    requests bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (minute, signal, outcome, reason)
) PARTITION BY RANGE (minute);
"""

BUCKETS = 64
_SUMS = ", ".join(f"a[{i}] + b[{i}]" for i in range(1, BUCKETS + 1))

# Merging two histograms inside an upsert: element by element, which PostgreSQL inlines.
# The words of an error: whatever is not a letter or a digit parts them, unlike PostgreSQL's own
# parser, which takes "httpx.ReadTimeout" for the name of a host.
_PUNCTUATION = r"""._-/:@()[]{}=,;<>#?&%+*$!~|^`\"''"""
FUNCTIONS = f"""
CREATE FUNCTION analytics_add_buckets(a integer[], b integer[]) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT ARRAY[{_SUMS}] $$;
CREATE FUNCTION analytics_words(type text, message text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT to_tsvector('simple', translate(left(type || ' ' || message, 2000),
    '{_PUNCTUATION}', repeat(' ', 40))) $$;
"""

TABLES = [
    "analytics_span",
    "analytics_errorevent",
    "analytics_correlationchain",
    "analytics_callrollup",
    "analytics_edgerollup",
    "analytics_errorrollup",
    "analytics_ingestrollup",
]


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_initial")]

    operations = [
        migrations.RunSQL(
            sql=FUNCTIONS + SPANS + ERRORS + CHAINS + ROLLUPS,
            reverse_sql="".join(f"DROP TABLE {table}; " for table in TABLES)
            + "DROP FUNCTION analytics_words(text, text); "
            + "DROP FUNCTION analytics_add_buckets(integer[], integer[]);",
        )
    ]
