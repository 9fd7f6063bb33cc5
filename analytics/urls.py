"""Paths of the error, pattern and chain screens."""

from __future__ import annotations

from django.urls import path

from analytics.views import (
    causes,
    chains,
    charts,
    differences,
    errors,
    impact,
    limits,
    pattern_forms,
    patterns,
    predictions,
    relations,
    report,
    slo_forms,
    slos,
    trends,
)

urlpatterns = [
    path("errors", errors.error_list, name="errors"),
    path("errors/<uuid:error_id>", errors.error_detail, name="error"),
    path("patterns", patterns.pattern_list, name="patterns"),
    path("patterns/<uuid:pattern_id>", patterns.pattern_detail, name="pattern"),
    path("patterns/<uuid:pattern_id>/impact", impact.pattern_impact, name="pattern-impact"),
    path(
        "patterns/<uuid:pattern_id>/<slug:decision>",
        pattern_forms.pattern_decision,
        name="pattern-decision",
    ),
    path("chains", chains.chain_list, name="chains"),
    path("chains/<str:key>", chains.chain_detail, name="chain"),
    path("errors/<uuid:error_id>/impact", impact.error_impact, name="error-impact"),
    path("impact", impact.window_impact, name="impact"),
    path("root-cause", causes.root_cause, name="root-cause"),
    path("relations", relations.relation_map, name="relations"),
    path("what-changed", differences.what_changed, name="what-changed"),
    path("predictions", predictions.prediction_list, name="predictions"),
    path("slos", slos.slo_overview, name="slos"),
    path("slos/new", slo_forms.slo_new, name="slo-new"),
    path("slos/<uuid:slo_id>", slos.slo_detail, name="slo"),
    path("slos/<uuid:slo_id>/edit", slo_forms.slo_edit, name="slo-edit"),
    path("slos/<uuid:slo_id>/delete", slo_forms.slo_remove, name="slo-delete"),
    path("trends", trends.trends, name="trends"),
    path("report", report.report, name="report"),
    path("limits", limits.limits, name="limits"),
    path("charts/<slug:name>.json", charts.figure, name="figure"),
]
