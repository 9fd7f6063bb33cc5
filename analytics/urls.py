"""Paths of the error, pattern and chain screens."""

from __future__ import annotations

from django.urls import path, re_path

from analytics import views

urlpatterns = [
    path("errors", views.error_list, name="errors"),
    path("errors/<uuid:error_id>", views.error_detail, name="error"),
    path("patterns", views.pattern_list, name="patterns"),
    path("patterns/<uuid:pattern_id>", views.pattern_detail, name="pattern"),
    re_path(
        r"^patterns/(?P<pattern_id>[0-9a-f-]{36})/(?P<decision>resolve|ignore|reopen)$",
        views.pattern_decision,
        name="pattern-decision",
    ),
    path("chains", views.chain_list, name="chains"),
    path("chains/<str:key>", views.chain_detail, name="chain"),
    path("charts/<slug:name>.json", views.figure, name="figure"),
]
