"""Closed sets of values of the control plane."""

from __future__ import annotations

from django.db import models


class BreakerState(models.TextChoices):
    """The states of `breakers.runtime.CircuitState`."""

    CLOSED = "closed", "Closed"
    OPEN = "open", "Open"
    HALF_OPEN = "half_open", "Half-open"
    FORCED_OPEN = "forced_open", "Forced open"
    FORCED_CLOSED = "forced_closed", "Forced closed"
    DISABLED = "disabled", "Disabled"
    METRICS_ONLY = "metrics_only", "Metrics only"


class OverrideState(models.TextChoices):
    """What a person may force a breaker to; `auto` takes an override back."""

    FORCED_OPEN = "forced_open", "Forced open: reject every call"
    FORCED_CLOSED = "forced_closed", "Forced closed: let every call pass, and count"
    DISABLED = "disabled", "Disabled: let every call pass, count nothing"
    METRICS_ONLY = "metrics_only", "Metrics only: count and report, never reject"


AUTO = "auto"


class PolicySubject(models.TextChoices):
    """What the site gives settings to."""

    BREAKER = "breaker", "Breaker"
    BULKHEAD = "bulkhead", "Bulkhead"


class OverrideScope(models.TextChoices):
    """What an override covers."""

    INSTANCE = "instance", "One instance"
    SERVICE = "service", "All instances of a service"
    DOMAIN = "domain", "All breakers of a failure domain"


class Ending(models.TextChoices):
    """How an override, a toggle's value or a degraded mode ended."""

    EXPIRED = "expired", "Expired"
    REVERTED = "reverted", "Reverted"
    REPLACED = "replaced", "Replaced"


class Level(models.TextChoices):
    """The levels of `breakers.runtime.DegradationLevel`."""

    NORMAL = "normal", "Normal"
    REDUCED = "reduced", "Reduced: extras are switched off"
    ESSENTIAL = "essential", "Essential: only the most important functions"
    OFFLINE = "offline", "Offline: nothing is served"


class CommandOutcome(models.TextChoices):
    """How an instance carried out a command."""

    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    UNKNOWN_ACTION = "unknown_action", "Unknown action"


class MemberSource(models.TextChoices):
    """Who says that a breaker belongs to a failure domain."""

    REPORTED = "reported", "Reported by the service"
    SET = "set", "Set by a person"
