"""The stock admin's view of healing: what is done and was done, read only."""

from __future__ import annotations

from django.contrib import admin

from healing import models
from resilience_site.core.admin import ReadOnlyAdmin


@admin.register(models.Workflow)
class WorkflowAdmin(ReadOnlyAdmin):
    list_display = ["name", "title", "mode", "enabled", "priority", "origin", "changed_at"]
    list_filter = ["mode", "enabled", "origin"]
    search_fields = ["name", "title"]


@admin.register(models.WorkflowVersion)
class WorkflowVersionAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "number", "at", "by"]
    list_select_related = ["workflow"]
    search_fields = ["workflow__name"]


@admin.register(models.HealingTarget)
class HealingTargetAdmin(ReadOnlyAdmin):
    list_display = ["service", "group", "managed_by", "version", "changed_at"]
    search_fields = ["service", "group"]
    # What is sealed is for nobody's eyes.
    exclude = ["sealed_ways"]


@admin.register(models.HealingRun)
class HealingRunAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "target", "mode", "state", "trigger_kind", "created_at", "ended_at"]
    list_filter = ["state", "mode", "trigger_kind", "dry_run"]
    search_fields = ["workflow", "target", "service"]


@admin.register(models.HealingStep)
class HealingStepAdmin(ReadOnlyAdmin):
    list_display = ["run", "n", "name", "action", "state", "attempt", "started_at", "ended_at"]
    list_select_related = ["run"]
    list_filter = ["state"]
    search_fields = ["name", "action", "run__target"]


@admin.register(models.Opportunity)
class OpportunityAdmin(ReadOnlyAdmin):
    list_display = ["workflow", "target", "trigger_kind", "state", "refused_by", "last_seen"]
    list_select_related = ["workflow"]
    list_filter = ["state", "trigger_kind"]
    search_fields = ["target", "service"]


@admin.register(models.Quarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    list_display = ["target", "service", "since", "ended_at", "ended_by"]
    search_fields = ["target", "service"]


@admin.register(models.HealingSwitch)
class HealingSwitchAdmin(ReadOnlyAdmin):
    list_display = ["group", "stopped", "stopped_by_site", "actor", "changed_at", "expires_at"]


@admin.register(models.DetectorCursor)
class DetectorCursorAdmin(ReadOnlyAdmin):
    list_display = ["reader", "position", "looked_at"]
