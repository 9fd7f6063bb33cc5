"""Background work of error analytics. Every task may run twice, or be missed, without harm."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

from celery import shared_task

from analytics.services import (
    anomaly_detection,
    call_hours,
    chains,
    edge_chains,
    edges,
    exhaustions,
    figure_hours,
    forecasts,
    metric_hours,
    pattern_merging,
    pattern_relations,
    pattern_states,
    prediction_models,
    predictions,
    releases,
    retention,
    signs,
    silences,
    slos,
)
from resilience_site.core import partitions

# How long one task may work at a backlog before others have their turn.
_TURN = timedelta(seconds=20)


@shared_task
def chains_refresh() -> None:
    """Put what is new into causal order, batch by batch until nothing is due."""
    started = datetime.now(UTC)
    while chains.chains_build(now=datetime.now(UTC)) and datetime.now(UTC) - started < _TURN:
        pass


@shared_task
def edge_chains_build() -> None:
    """Join errors without a trace by time and dependency."""
    edge_chains.edge_chains_build(now=datetime.now(UTC))


@shared_task
def edges_resolve() -> None:
    """Count the calls between services whose other end has arrived."""
    edges.edges_resolve(now=datetime.now(UTC))


@shared_task
def partitions_ahead() -> None:
    """Make the partitions that rows of the next hours and days fall into."""
    partitions.ensure_ahead(datetime.now(UTC))


@shared_task
def metric_hours_sum() -> None:
    """Sum up the minutes of metrics into hours."""
    metric_hours.metric_hours_sum(now=datetime.now(UTC))


@shared_task
def call_hours_sum() -> None:
    """Sum up the minutes of calls and errors, and the chains, into hours."""
    call_hours.call_hours_sum(now=datetime.now(UTC))
    figure_hours.chain_hours_sum(now=datetime.now(UTC))


@shared_task
def anomalies_detect() -> None:
    """Look at the minutes of services that have settled for what stands out."""
    anomaly_detection.anomalies_detect(now=datetime.now(UTC))


@shared_task
def anomalies_prune() -> None:
    """Forget old anomalies."""
    anomaly_detection.anomalies_prune(now=datetime.now(UTC))


@shared_task
def failures_foresee() -> None:
    """Read the minute's signs and failures, settle what was foretold, foretell what is next."""
    signs.signs_collect(now=datetime.now(UTC))
    predictions.predictions_settle(now=datetime.now(UTC))
    predictions.predictions_make(now=datetime.now(UTC))


@shared_task
def failures_learn() -> None:
    """Fit models to the history of signs and failures, once a day."""
    prediction_models.models_fit(now=datetime.now(UTC))


@shared_task
def pattern_relations_find() -> None:
    """Find which pattern precedes which."""
    pattern_relations.pattern_relations_find(now=datetime.now(UTC))


@shared_task
def patterns_merge() -> None:
    """Put patterns together that one template explains."""
    pattern_merging.patterns_merge(now=datetime.now(UTC))


@shared_task
def patterns_follow() -> None:
    """Move patterns on by their figures: escalating, calm again, no longer ignored."""
    pattern_states.patterns_follow(now=datetime.now(UTC))


@shared_task
def pattern_releases_prune() -> None:
    """Forget old versions of services, and of patterns that were seen in very many."""
    pattern_states.pattern_releases_prune()
    releases.releases_prune()


@shared_task
def forecasts_refresh() -> None:
    """Make the forecasts that are due this hour, and work out what will be used up."""
    now = datetime.now(UTC)
    exhaustions.exhaustions_make(now=now)
    with closing(forecasts.forecasts_make(now=now)) as made:
        for _ in made:
            if datetime.now(UTC) - now > _TURN:
                break


@shared_task
def slo_defaults_make() -> None:
    """Give an objective to each service that has calls or checks and never had one."""
    slos.slo_defaults_make(now=datetime.now(UTC))


@shared_task
def silences_watch() -> None:
    """Tell of services that fell silent while others go on, and of those that are heard again."""
    silences.silences_watch(now=datetime.now(UTC))


@shared_task
def retention_apply() -> None:
    """Drop what is older than its retention."""
    retention.retention_apply(now=datetime.now(UTC))
