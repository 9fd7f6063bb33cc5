"""Paths of the error, pattern and chain screens."""

from __future__ import annotations

from django.urls import path

from analytics import views

urlpatterns = [
    path("errors", views.error_list, name="errors"),
    path("errors/<uuid:error_id>", views.error_detail, name="error"),
    path("patterns", views.pattern_list, name="patterns"),
    path("patterns/<uuid:pattern_id>", views.pattern_detail, name="pattern"),
    path(
        "patterns/<uuid:pattern_id>/<slug:decision>",
        views.pattern_decision,
        name="pattern-decision",
    ),
    path("chains", views.chain_list, name="chains"),
    path("chains/<str:key>", views.chain_detail, name="chain"),
    path("charts/<slug:name>.json", views.figure, name="figure"),
]
