"""Closed sets of values of the catalogue."""

from __future__ import annotations

from django.db import models


class Criticality(models.TextChoices):
    """`service.criticality` of the OpenTelemetry semantic conventions."""

    CRITICAL = "critical", "critical"
    HIGH = "high", "high"
    MEDIUM = "medium", "medium"
    LOW = "low", "low"
    UNSET = "", "not stated"
