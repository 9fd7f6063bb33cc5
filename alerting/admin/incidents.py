"""Incidents with their timelines, and reports."""

from __future__ import annotations

from django.contrib import admin

from alerting import models
from resilience_site.core.admin import ReadOnlyAdmin


@admin.register(models.Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ["title", "state", "severity", "started_at", "ended_at", "assigned_to"]
    list_filter = ["state", "severity"]
    search_fields = ["title", "culprit"]


@admin.register(models.IncidentKey)
class IncidentKeyAdmin(ReadOnlyAdmin):
    list_display = ["key", "incident"]
    list_select_related = ["incident"]
    search_fields = ["key"]


@admin.register(models.IncidentEntry)
class IncidentEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "kind", "text", "incident"]
    list_select_related = ["incident"]
    list_filter = ["kind"]


@admin.register(models.ResilienceReport)
class ResilienceReportAdmin(ReadOnlyAdmin):
    list_display = ["since", "until", "made_at", "made_by"]
    exclude = ["figures"]
