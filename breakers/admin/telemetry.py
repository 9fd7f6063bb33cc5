"""What services tell, and the records that follow from decisions: read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from breakers import models
from resilience_site.core.admin import BigTableAdmin, ReadOnlyAdmin


@admin.register(models.Instance)
class InstanceAdmin(ReadOnlyAdmin):
    list_display = [
        "service", "instance", "version", "last_seen", "started_at", "restarts",
        "applied_version", "applied_at",
    ]  # fmt: skip
    list_filter = ["service"]
    search_fields = ["service", "instance"]


@admin.register(models.BreakerTransition)
class BreakerTransitionAdmin(BigTableAdmin):
    list_display = ["at", "service", "name", "instance", "from_state", "to_state", "reason"]
    list_filter = ["to_state"]
    search_fields = ["service__exact", "name__exact", "trace_id__exact"]


@admin.register(models.BulkheadBreach)
class BulkheadBreachAdmin(BigTableAdmin):
    list_display = ["at", "service", "name", "instance", "kind", "mitigation"]
    list_filter = ["kind"]
    search_fields = ["service__exact", "name__exact"]


@admin.register(models.Bulkhead)
class BulkheadAdmin(ReadOnlyAdmin):
    list_display = ["service", "name", "instance", "active", "queued", "limit", "last_seen"]
    list_filter = ["service"]
    search_fields = ["service", "name", "instance"]


@admin.register(models.RetryBudget)
class RetryBudgetAdmin(ReadOnlyAdmin):
    list_display = ["service", "dependency", "instance", "calls", "retries", "left", "last_seen"]
    list_filter = ["service"]
    search_fields = ["service", "dependency", "instance"]


@admin.register(models.OutcomeBatch)
class OutcomeBatchAdmin(BigTableAdmin):
    list_display = ["at", "service", "name", "instance"]
    search_fields = ["service__exact", "name__exact"]
    ordering = ["-at"]


class CountsAdmin(BigTableAdmin):
    """Counts over time; a row has no page of its own, as its database key is composite."""

    list_display_links = None
    search_fields = ["service__exact"]

    def get_list_display(self, request: HttpRequest) -> Any:
        return [field.name for field in self.model._meta.concrete_fields if field.name != "id"]


@admin.register(models.CallRollup)
class CallRollupAdmin(CountsAdmin):
    ordering = ["-at"]


@admin.register(models.CallMinute, models.RetryRollup, models.FallbackRollup, models.BulkheadRollup)
class PerMinuteAdmin(CountsAdmin):
    ordering = ["-minute"]


@admin.register(models.PolicyChange)
class PolicyChangeAdmin(ReadOnlyAdmin):
    list_display = [
        "created_at", "subject", "service", "name", "number", "policy", "actor", "reason",
    ]  # fmt: skip
    list_filter = ["subject", "service"]
    search_fields = ["service", "name", "reason", "actor"]


@admin.register(models.Command)
class CommandAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "service", "instance", "action", "actor", "reason", "ended_at"]
    list_filter = ["action"]
    search_fields = ["service", "instance", "actor", "reason"]


@admin.register(models.CommandReport)
class CommandReportAdmin(ReadOnlyAdmin):
    list_display = ["at", "command", "instance", "outcome", "output"]
    list_filter = ["outcome"]
    list_select_related = ["command"]
    search_fields = ["instance", "output"]


@admin.register(models.Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ["started_at", "service", "level", "text", "ended_at"]
    list_filter = ["level"]
    search_fields = ["service", "text"]
