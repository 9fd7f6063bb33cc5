"""Closed sets of values of the catalogue, the checks and their graph."""

from __future__ import annotations

from django.db import models


class Criticality(models.TextChoices):
    """`service.criticality` of the OpenTelemetry semantic conventions."""

    CRITICAL = "critical", "critical"
    HIGH = "high", "high"
    MEDIUM = "medium", "medium"
    LOW = "low", "low"
    UNSET = "", "not stated"


class ResultStatus(models.TextChoices):
    """What one run of a check found.

    `internal_error` says that the check itself failed, `withheld` that the prober had no network:
    neither says anything about the target.
    """

    UP = "up", "up"
    DEGRADED = "degraded", "degraded"
    DOWN = "down", "down"
    INTERNAL_ERROR = "internal_error", "internal error"
    WITHHELD = "withheld", "withheld"


class HealthState(models.TextChoices):
    """The state of a check or of a service, after thresholds and with its dependencies."""

    UP = "up", "up"
    DEGRADED = "degraded", "degraded"
    DOWN = "down", "down"
    UNREACHABLE = "unreachable", "unreachable"
    MAINTENANCE = "maintenance", "maintenance"
    UNKNOWN = "unknown", "unknown"


class RunCause(models.TextChoices):
    """Why a check was run."""

    SCHEDULED = "scheduled", "scheduled"
    SUSPICION = "suspicion", "suspicion"
    MANUAL = "manual", "by hand"
    PUSHED = "pushed", "pushed"


class DependencyStatus(models.TextChoices):
    """How an edge of the dependency graph came to be; only the first two count."""

    DECLARED = "declared", "declared"
    ACCEPTED = "accepted", "accepted"
    PROPOSED = "proposed", "proposed"
    REJECTED = "rejected", "rejected"


class MaintenanceKind(models.TextChoices):
    """How the times of a maintenance window are given."""

    SINGLE = "single", "once"
    WEEKLY = "weekly", "weekly"
    CRON = "cron", "by a cron expression"


class IncidentStage(models.TextChoices):
    """How far the public account of an incident has come."""

    INVESTIGATING = "investigating", "Investigating"
    IDENTIFIED = "identified", "Identified"
    MONITORING = "monitoring", "Monitoring"
    RESOLVED = "resolved", "Resolved"


class PublicImpact(models.TextChoices):
    """The five overall states of the public status page, the mildest first."""

    OPERATIONAL = "operational", "Operational"
    MAINTENANCE = "maintenance", "Under maintenance"
    DEGRADED = "degraded", "Degraded performance"
    PARTIAL_OUTAGE = "partial_outage", "Partial outage"
    MAJOR_OUTAGE = "major_outage", "Major outage"
