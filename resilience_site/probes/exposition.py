"""The numbers of /metrics as Prometheus text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import psycopg
import redis
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from resilience_site.probes.collectors import COLLECTORS, SITE_COLLECTORS, Collector
from resilience_site.probes.story_metrics import STORY_METRICS, StoryMetric

logger = logging.getLogger(__name__)
STATEMENT_SECONDS = 2


def families(now: datetime) -> list[Metric]:
    """Every metric that has a collector; one that fails is left out and says so by its own."""
    found: list[Metric] = []
    working = GaugeMetricFamily(
        "resilience_collector_up",
        "Whether the numbers of a collector could be read",
        labels=("collector",),
    )
    connected = True
    for name, read in _collectors(now):
        try:
            found += _bounded(read) if connected else []
        except (DatabaseError, InterfaceError, redis.RedisError) as error:
            logger.debug("Metrics of %s could not be read: %s", name, error)
            working.add_metric((name,), 0)
            # Without a connection each further collector would wait as long for one.
            connected = _has_connection(error)
        else:
            working.add_metric((name,), int(connected))
    return [*found, working]


def _has_connection(error: Exception) -> bool:
    if not isinstance(error, (OperationalError, InterfaceError)):
        return True
    return isinstance(error.__cause__, psycopg.errors.QueryCanceled)


def exposition(metrics: list[Metric], accept: str) -> tuple[bytes, str]:
    """The body and its content type, in the format that `accept` prefers."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(metrics))
    return encode(registry), content_type


class _Fixed:
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _collectors(now: datetime) -> Iterator[tuple[str, Callable[[], Iterable[Metric]]]]:
    for metric in STORY_METRICS:
        collector = COLLECTORS[metric.name]
        yield metric.name, lambda m=metric, c=collector: [_family(m, c, now)]  # type: ignore[misc]
    for name, own in SITE_COLLECTORS.items():
        yield name, lambda c=own: c(now)  # type: ignore[misc]


def _family(metric: StoryMetric, collector: Collector, now: datetime) -> Metric:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in collector(now):
        family.add_metric(labels, value)
    return family


def _bounded(read: Callable[[], Iterable[Metric]]) -> list[Metric]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_SECONDS * 1000}")
        return list(read())
