"""The analytics part of the API."""

from __future__ import annotations

from analytics.api import (
    anomalies,
    causes,
    chains,
    differences,
    errors,
    impact,
    limits,
    patterns,
    posted,
    predictions,
    relations,
    releases,
    report,
    services,
    slos,
    trends,
)

# `posted` adds its operation to the router of the errors, whose path it shares.
assert posted.router is errors.router
routers = [
    ("", router)
    for router in (
        errors.router,
        patterns.router,
        chains.router,
        causes.router,
        services.router,
        slos.router,
        report.router,
        relations.router,
        releases.router,
        differences.router,
        impact.router,
        predictions.router,
        trends.router,
        anomalies.router,
        limits.router,
    )
]
