"""Rules, alerts, and who is told of them."""

from __future__ import annotations

from django.contrib import admin

from alerting import models
from resilience_site.core.admin import ReadOnlyAdmin


@admin.register(models.AlertRule)
class AlertRuleAdmin(ReadOnlyAdmin):
    list_display = ["name", "title", "severity", "enabled", "origin", "faulty_since", "changed_at"]
    list_filter = ["severity", "enabled", "origin"]
    search_fields = ["name", "title"]


@admin.register(models.RuleProgress)
class RuleProgressAdmin(ReadOnlyAdmin):
    list_display = ["rule", "rule_version", "cursor", "evaluated_until"]
    list_select_related = ["rule"]


@admin.register(models.Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ["rule_name", "service", "severity", "state", "started_at", "ended_at"]
    list_filter = ["state", "severity", "source"]
    search_fields = ["rule_name", "service", "fingerprint__exact"]


@admin.register(models.Route)
class RouteAdmin(ReadOnlyAdmin):
    list_display = ["position", "name", "enabled", "goes_on", "origin"]
    list_display_links = ["name"]


@admin.register(models.Inhibition)
class InhibitionAdmin(ReadOnlyAdmin):
    list_display = ["name", "enabled", "origin"]


@admin.register(models.Silence)
class SilenceAdmin(ReadOnlyAdmin):
    list_display = ["starts_at", "ends_at", "actor", "reason", "ended_by", "held"]
    search_fields = ["reason", "actor"]


@admin.register(models.AlertGroup)
class AlertGroupAdmin(ReadOnlyAdmin):
    list_display = ["route", "labels", "created_at", "due_at", "last_flush_at"]
    list_select_related = ["route"]
    # A group of a storm holds thousands of them; they have a list of their own.
    exclude = ["alerts"]


@admin.register(models.Notified)
class NotifiedAdmin(ReadOnlyAdmin):
    list_display = ["channel", "group", "at"]
    list_select_related = ["channel", "group"]
