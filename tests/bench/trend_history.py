"""A quarter of a year of what trends tell beside calls: checks and outages, chains, gauges, objectives,
healing runs and incidents, as a busy site has them."""

from __future__ import annotations

import psycopg

# Of each service: critical checks, gauges, and hours from one outage of a check to the next.
CHECKS, GAUGES, HOURS_BETWEEN = 3, 4, 7
CHAINS_A_MINUTE = 30
RUNS_A_DAY, INCIDENTS_A_DAY = 100, 20
# Chains and the hours of metrics are kept that long, sums of hours for the whole of it.
_DETAIL = "interval '30 days'"

_SERVICES = """
INSERT INTO health_service (name, environment, version, language, criticality, description,
    first_seen, last_seen)
SELECT 'bench-' || s, '', '', '', '', '', {begin}, now() FROM generate_series(1, {services}) s
ON CONFLICT DO NOTHING
"""
# Switched off, so that the site does not run them.
_CHECKS = """
INSERT INTO health_check (id, name, kind, target, sealed_target, interval_seconds,
    timeout_seconds, failures_to_down, successes_to_up, settle_seconds, critical, enabled,
    description, runbook_url, managed_by, version, created_at, updated_at, service)
SELECT md5(s || '/' || c)::uuid, 'bench-' || s || '-' || c, 'memory', '{{}}', '', 30, 10, 3, 2, 0,
    true, false, '', '', '', 1, {begin}, {begin}, 'bench-' || s
FROM generate_series(1, {services}) s, generate_series(1, {checks}) c
"""
_STATUSES = """
INSERT INTO health_checkstatus (check_id, fence, run_again, own_state, own_since, failures,
    successes, history, flapping, state, since, last_status, last_output, last_observed, memory,
    pushed_status, pushed_output, minutes_from, hours_from)
SELECT id, 0, false, 'up', {begin}, 0, 0, '', false, 'up', {begin}, 'up', '', '{{}}', '{{}}', '', '',
    now(), date_trunc('hour', now(), 'UTC')
FROM health_check WHERE name LIKE 'bench-%'
"""
# Each check fails in hours of its own, for ten minutes of them.
_OUTAGES = """
INSERT INTO health_outage (id, started_at, confirmed_at, announce_at, ended_at, held_by, culprit,
    output, check_id)
SELECT gen_random_uuid(), at, at, at, at + interval '10 minutes', '', '', '', id
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM health_check
    WHERE name LIKE 'bench-%') c,
LATERAL generate_series({begin} + place * interval '7 minutes', now() - interval '10 minutes',
    interval '{between} hours') at
"""
_CHANGES = """
INSERT INTO health_statechange (at, since, from_state, state, own_state, culprit, reason, check_id)
SELECT at, at, before, after, after, '', '', check_id FROM (
    SELECT {begin} AS at, 'unknown' AS before, 'up' AS after, id AS check_id FROM health_check
    WHERE name LIKE 'bench-%'
    UNION ALL SELECT started_at, 'up', 'down', check_id FROM health_outage
    UNION ALL SELECT ended_at, 'down', 'up', check_id FROM health_outage
) AS changes ORDER BY at
"""
_SERVICE_HOURS = """
INSERT INTO health_servicehour (hour, service, up, down)
SELECT hour, 'bench-' || s, 3000, 600 FROM generate_series(1, {services}) s,
    generate_series({begin}, date_trunc('hour', now(), 'UTC') - interval '1 hour',
        interval '1 hour') hour
"""
_OBJECTIVES = """
INSERT INTO analytics_slo (id, service, kind, source, objective, window_days, min_bad, origin,
    enabled, version, created_at, created_by, changed_at, changed_by)
SELECT gen_random_uuid(), 'bench-' || s, 'availability', 'traces', 0.8, 30, 1, 'person', true, 1,
    {begin}, '', {begin}, ''
FROM generate_series(1, {services}) s ON CONFLICT DO NOTHING
"""
_CHAINS = """
INSERT INTO analytics_correlationchain (id, opened_on, kind, trace_id, correlation_id,
    root_cause_id, root_cause_service, root_cause_type, root_cause_message, root_cause_operation,
    services, error_count, span_count, gap_count, started_at, ended_at, updated_at, confidence,
    error_ids)
SELECT gen_random_uuid(), (at AT TIME ZONE 'UTC')::date, 'trace', md5(at || '/' || n), '',
    gen_random_uuid(), 'bench-' || s, 'TimeoutError', 'no answer', 'GET /1',
    ARRAY['bench-' || s, 'bench-' || s % {services} + 1, 'bench-' || (s + 1) % {services} + 1], 3, 9,
    0, at, at, now() - interval '1 day', 1, '{{}}'
FROM ({minutes}) AS m (at), generate_series(1, {chains}) n,
    LATERAL (SELECT (extract(epoch FROM at)::bigint / 60 + n) % {services} + 1) AS o (s)
"""
_GAUGES = """
INSERT INTO analytics_metricseries (id, service, scope, name, unit, kind, temporality, monotonic,
    attributes, overflow, first_seen, last_seen)
SELECT md5('gauge/' || s || '/' || g)::uuid, 'bench-' || s, '', 'system.filesystem.utilization', '1',
    'gauge', 0, false, jsonb_build_object('device', g), false, {begin}, current_date
FROM generate_series(1, {services}) s, generate_series(1, {gauges}) g
"""
_GAUGE_ROWS = """
INSERT INTO analytics_metric{table} ({column}, series_id, points, count, total, minimum, maximum,
    resets, last, changed_at)
SELECT at, id, 1, 0, 0.5, 0.5, 0.5, 0, 0.5, now() - interval '1 hour'
FROM analytics_metricseries, ({times}) AS m (at) WHERE name = 'system.filesystem.utilization'
"""
_FIGURES = """
INSERT INTO analytics_figurehour (hour, metric, service, value, count, changed_at)
SELECT hour, metric, CASE s WHEN 0 THEN '' ELSE 'bench-' || s END, value, count, now()
FROM (VALUES ('impact_radius', 5400, 1800), ('saturation', 0.5, {gauges}))
    AS figures (metric, value, count),
    generate_series({begin}, date_trunc('hour', now(), 'UTC'), interval '1 hour') hour,
    generate_series(0, {services}) s
"""
_RUNS = """
INSERT INTO healing_healingrun (id, workflow, version, definition, target_kind, target, service,
    mode, state, trigger_kind, trigger_key, trigger, dry_run, reason, requested_by, guardrails,
    refused_by, created_at, started_at, ended_at, deadline, approved_by, fence, passes,
    failing_before, cancel_asked_by, rollback_asked_by, asked_reason, undoing, outcome, evidence)
SELECT gen_random_uuid(), 'heal', 1, '{{}}', 'service', 'bench', 'bench-' || place % {services} + 1,
    'auto', CASE place % 4 WHEN 0 THEN 'failed' ELSE 'succeeded' END, 'journal', place, '{{}}', false,
    '', '', '[]', '', at, at, at, at, '', 0, 0, '[]', '', '', '', '', '', '{{}}'
FROM generate_series({begin}, now(), interval '1 day' / {runs}) WITH ORDINALITY AS r (at, place)
"""
_INCIDENTS = """
INSERT INTO alerting_incident (id, title, state, severity, started_at, ended_at, acknowledged_by,
    assigned_to, culprit, services, cause, impact, changed_at, version, cursor, public_follows,
    resolved_by)
SELECT gen_random_uuid(), 'bench', 'resolved', 'ticket', at, at, '', '', '',
    jsonb_build_array('bench-' || place % {services} + 1), '{{}}', '{{}}', at, 1, 0, false, ''
FROM generate_series({begin}, now(), interval '1 day' / {incidents})
    WITH ORDINALITY AS i (at, place)
"""
_HOURS = f"SELECT generate_series(date_trunc('hour', now(), 'UTC') - {_DETAIL}, now(), interval '1 hour')"


def seed_history(
    connection: psycopg.Connection, *, begin: str, services: int, minutes: str
) -> None:
    """Write it from `begin` on; `minutes` is the SQL of the minutes that are kept one by one."""
    names = {
        "begin": begin, "services": services, "minutes": minutes, "checks": CHECKS, "gauges": GAUGES,
        "between": HOURS_BETWEEN, "chains": CHAINS_A_MINUTE, "runs": RUNS_A_DAY,
        "incidents": INCIDENTS_A_DAY,
    }  # fmt: skip
    for statement in (
        _SERVICES, _CHECKS, _STATUSES, _OUTAGES, _CHANGES, _SERVICE_HOURS, _OBJECTIVES, _CHAINS,
        _GAUGES, _FIGURES, _RUNS, _INCIDENTS,
    ):  # fmt: skip
        connection.execute(statement.format(**names))
    for table, column, times in (
        ("rolluphour", "hour", _HOURS),
        ("rollup", "minute", minutes),
    ):
        connection.execute(_GAUGE_ROWS.format(table=table, column=column, times=times))
