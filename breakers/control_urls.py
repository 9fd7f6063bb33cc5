"""Paths of the screens of retries, fallbacks, bulkheads, toggles and degraded modes."""

from __future__ import annotations

from django.urls import path

from breakers.views import bulkhead, degraded, figures, policy, toggles
from resilience_site.core import converters  # noqa: F401  # registers `anything`

urlpatterns = [
    path("retries", figures.retries, name="retries"),
    path("fallbacks", figures.fallbacks, name="fallbacks"),
    path("bulkheads", figures.bulkheads, name="bulkheads"),
    path("bulkheads/<anything:place>/policy", policy.bulkhead_tune, name="bulkhead-policy"),
    path(
        "bulkheads/<anything:place>/policy/rollback",
        policy.bulkhead_roll_back,
        name="bulkhead-policy-rollback",
    ),
    path("bulkheads/<anything:place>", bulkhead.bulkhead_detail, name="bulkhead"),
    path("toggles", toggles.toggles, name="toggles"),
    # No key of a toggle holds a slash.
    path("toggles/-/new", toggles.toggle_new, name="toggle-new"),
    path("toggles/<anything:key>/set", toggles.set_toggle, name="toggle-set"),
    path("toggles/<anything:key>/revert", toggles.revert_toggle, name="toggle-revert"),
    path("toggles/<anything:key>", toggles.toggle_detail, name="toggle"),
    path("degraded", degraded.degraded, name="degraded"),
    path("degraded/<anything:service>/set", degraded.set_level, name="degraded-set"),
    path("degraded/<anything:service>/end", degraded.end_level, name="degraded-end"),
    path("degraded/<anything:service>/preview", degraded.preview, name="degraded-preview"),
    path("degraded/<anything:service>", degraded.degraded_service, name="degraded-service"),
]
