"""Paths of the screens of the control plane."""

from __future__ import annotations

from django.urls import path

from breakers.views import actions, detail, domains, grid, policy, replay
from resilience_site.core import converters  # noqa: F401  # registers `anything`

urlpatterns = [
    path("breakers", grid.breaker_grid, name="breakers"),
    path("breakers/<slug:key>", detail.breaker_detail, name="breaker"),
    path("breakers/<slug:key>/override", actions.override, name="breaker-override"),
    path("breakers/<slug:key>/reset", actions.reset, name="breaker-reset"),
    path("breakers/<slug:key>/policy", policy.tune, name="breaker-policy"),
    path("breakers/<slug:key>/policy/rollback", policy.roll_back, name="breaker-policy-rollback"),
    path("breakers/<slug:key>/replay", replay.replay_page, name="breaker-replay"),
    path("domains", domains.domain_list, name="domains"),
    path("domains/<anything:name>/override", domains.override, name="domain-override"),
    path("domains/<anything:name>/reset", domains.reset, name="domain-reset"),
]
