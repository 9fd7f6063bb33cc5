from __future__ import annotations

from django.urls import path

from resilience_site.probes import views

urlpatterns = [
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("healthz", views.healthz, name="healthz"),
    path("healthz/<slug:group>", views.healthz, name="healthz-group"),
    path("metrics", views.metrics, name="metrics"),
]
