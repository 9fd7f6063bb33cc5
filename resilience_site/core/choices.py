"""Fixed vocabularies of the kernel, each value with its label."""

from __future__ import annotations

from django.db.models import TextChoices


class Scope(TextChoices):
    """What an API key may do: admin includes operate, operate includes read; ingest stands alone."""

    INGEST = "ingest", "Ingest: post telemetry, poll control"
    READ = "read", "Read: every list and detail"
    OPERATE = "operate", "Operate: read, and act on breakers, patterns, healing"
    ADMIN = "admin", "Admin: operate, and manage keys"


class Role(TextChoices):
    """What a person may do; each role includes those before it. Named like its Django group."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMIN = "admin", "Admin"


class ActorKind(TextChoices):
    """Who acted: a person with a session, an API key, or the site itself."""

    USER = "user", "User"
    KEY = "key", "API key"
    SYSTEM = "system", "System"


class Topic(TextChoices):
    """What a page can listen to; the key of a topic's entries names the thing that changed."""

    ERRORS = "errors", "Errors (key: service)"
    PATTERNS = "patterns", "Error patterns (key: pattern id)"
    CHAINS = "chains", "Correlation chains (key: chain id)"
    ANOMALIES = "anomalies", "Anomalies of figures (key: service)"
    PREDICTIONS = "predictions", "Failures foreseen (key: service)"
    SLOS = "slos", "Service level objectives (key: objective id)"
    RELEASES = "releases", "Versions of services (key: service)"
    TRAFFIC = "traffic", "Calls and latency (key: service)"
    SERVICES = "services", "Service catalogue (key: service)"
    INGEST = "ingest", "Ingest counters (key: signal)"
    BREAKERS = "breakers", "State and overrides of breakers (key: that of the breaker)"
    CALLS = "calls", "Calls of breakers (key: service)"
    RETRIES = "retries", "Retries (key: service)"
    FALLBACKS = "fallbacks", "Fallbacks (key: service)"
    BULKHEADS = "bulkheads", "Bulkheads and their breaches (key: service)"
    TOGGLES = "toggles", "Toggles (key: toggle)"
    DEGRADED = "degraded", "Degraded modes and their notices (key: service)"
    CONTROL = "control", "Control documents and who applied them (key: service)"
    HEALTH = "health", "States of checks (key: check id)"
    PROBES = "probes", "Results of checks, at most once in 5 s (key: empty)"
    DEPENDENCIES = "dependencies", "Edges of the dependency graph (key: edge id)"
    MAINTENANCE = "maintenance", "Maintenance windows (key: window id)"
    HEALING = "healing", "Runs of self-healing (key: run id)"
    INCIDENTS = "incidents", "Incidents, and what the status page tells of them (key: incident id)"
    ALERTS = "alerts", "Alerts, silences and rules (key: that of the alert or rule)"
    DELIVERIES = "deliveries", "Deliveries and channels (key: that of the channel)"
    SITE = "site", "The site's own state (key: the part)"
