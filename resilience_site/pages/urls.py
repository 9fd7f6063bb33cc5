"""Paths of the screens that combine apps, and of signing in and out."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import path

from resilience_site.core import converters  # noqa: F401  # registers `anything`
from resilience_site.pages import (
    breakers,
    components,
    favicon,
    healing,
    health,
    keys,
    overview,
    services,
    status,
)

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("favicon.ico", favicon.favicon, name="favicon"),
    path("site-health", overview.site_health, name="site-health"),
    path("services", services.services, name="services"),
    path("services/map", services.service_map, name="service-map"),
    path("services/<anything:name>", services.service, name="service"),
    path("healing-of", healing.healing_of, name="healing-of"),
    path("charts/breaker.json", breakers.breaker_figure, name="breaker-chart"),
    path("charts/breaker-rows", breakers.breaker_figure_rows, name="breaker-chart-rows"),
    path("blast-radius/check/<uuid:check_id>", health.check_radius, name="blast-radius-check"),
    path("blast-radius/domain", breakers.domain_blast_radius, name="blast-radius-domain"),
    path("blast-radius/<slug:key>", breakers.blast_radius, name="blast-radius"),
    path("settings/keys", keys.keys, name="keys"),
    path("settings/keys/<int:key_id>/revoke", keys.key_revoke, name="key-revoke"),
    path("status", status.status_page, name="status"),
    path("status.json", status.status_json, name="status-json"),
    path("status/feed.rss", status.status_feed, name="status-feed"),
    path("login", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout", auth_views.LogoutView.as_view(), name="logout"),
    path("dev/components", components.gallery, name="components"),
    path("dev/components/rows", components.gallery_rows, name="components-rows"),
    path("dev/components/figure.json", components.gallery_figure, name="components-figure"),
]
