"""All paths of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from analytics.api.otlp import otlp_api
from resilience_site.api import api

urlpatterns = [
    path("", include("resilience_site.probes.urls")),
    path("", include("resilience_site.pages.urls")),
    path("", include("analytics.urls")),
    path("", include("alerting.urls")),
    path("", include("healing.urls")),
    path("", include("health.urls")),
    path("", include("breakers.urls")),
    path("", include("breakers.control_urls")),
    path("api/v1/", api.urls),
    path("", otlp_api.urls),
    path("admin/", admin.site.urls),
]
