"""Closed sets of values of error analytics."""

from __future__ import annotations

from django.db import models


class ErrorSource(models.IntegerChoices):
    """The form in which an error was reported."""

    SPAN_EVENT = 1, "exception event of a span"
    LOG = 2, "exception log record"
    SPAN_STATUS = 3, "span with error status"
    API = 4, "posted to the errors path"


class PatternState(models.TextChoices):
    """Where a group of like errors stands."""

    NEW = "new", "new"
    ONGOING = "ongoing", "ongoing"
    ESCALATING = "escalating", "escalating"
    REGRESSED = "regressed", "regressed"
    RESOLVED = "resolved", "resolved"
    IGNORED = "ignored", "ignored"


class ChainKind(models.TextChoices):
    """What ties the errors of a chain together."""

    TRACE = "trace", "one trace"
    CORRELATION = "correlation", "one correlation id"
    EDGE = "edge", "time and dependency"


class SpanKind(models.IntegerChoices):
    """OTLP's span kinds."""

    UNSET = 0, "unset"
    INTERNAL = 1, "internal"
    SERVER = 2, "server"
    CLIENT = 3, "client"
    PRODUCER = 4, "producer"
    CONSUMER = 5, "consumer"


class Signal(models.TextChoices):
    """What kind of telemetry a request carried."""

    TRACES = "traces", "spans"
    LOGS = "logs", "log records"
    METRICS = "metrics", "metric points"
    ERRORS = "errors", "posted errors"


class Outcome(models.TextChoices):
    """What became of received items."""

    STORED = "stored", "stored"
    DUPLICATE = "duplicate", "already stored"
    REJECTED = "rejected", "rejected"


class EdgeVia(models.TextChoices):
    """How an edge of the service map was seen."""

    LINK = "link", "a span whose parent is another service's span"
    PEER = "peer", "a client span that names its peer"


class ForecastSpan(models.TextChoices):
    """How far a forecast reaches, and in which steps."""

    DAY = "24h", "24 hours, hourly"
    WEEK = "7d", "7 days, daily"


class ExhaustionKind(models.TextChoices):
    """What can be used up."""

    BUDGET = "budget", "error budget gone"
    DISK = "disk", "disk full"
    POOL = "pool", "pool exhausted"
    CERTIFICATE = "certificate", "certificate expired"


class FailureKind(models.TextChoices):
    """The ways in which a service fails that are predicted."""

    HEALTH_DOWN = "health_down", "health down"
    BREAKER_OPEN = "breaker_open", "breaker open"
    SLO_BREACH = "slo_breach", "objective breached"


class PredictionMethod(models.TextChoices):
    """What a prediction was made by."""

    RULES = "rules", "safe rules"
    MODEL = "model", "a model of this site's history"


class PredictionOutcome(models.TextChoices):
    """What came of a prediction."""

    PENDING = "pending", "pending"
    HIT = "hit", "hit"
    MISS = "miss", "miss"


class MergeOrigin(models.TextChoices):
    """Who put two patterns together."""

    PERSON = "person", "a person"
    MACHINE = "machine", "the second pass over messages"


class DirectedBy(models.TextChoices):
    """What tells which of two related patterns comes first."""

    LAG = "lag", "the time between them"
    DEPENDENCY = "dependency", "one service calls the other"


class SloKind(models.TextChoices):
    """What an objective is about."""

    AVAILABILITY = "availability", "availability"
    LATENCY = "latency", "latency"


class SloSource(models.TextChoices):
    """What an objective is measured by."""

    TRACES = "traces", "calls seen in traces"
    CHECKS = "checks", "its critical checks"


class SloOrigin(models.TextChoices):
    """Who set an objective."""

    DEFAULT = "default", "the site, by its availability target"
    PERSON = "person", "a person"


class LateKind(models.TextChoices):
    """What came late."""

    CALLS = "calls", "calls"
    ERRORS = "errors", "errors"


class NameKind(models.TextChoices):
    """What senders name, and of which a bounded number is kept apart."""

    SERVICE = "service", "services"
    PATTERN = "pattern", "patterns of errors"
    OPERATION = "operation", "operations"
    PEER = "peer", "addresses called"
    TEMPLATE = "template", "log templates"
    SERIES = "series", "metric series"
    STREAM = "stream", "running totals of metrics"
    VERSION = "version", "versions"
