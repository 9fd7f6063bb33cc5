"""What is known of checks, and what happened: read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from health import models
from resilience_site.core.admin import BigTableAdmin, ReadOnlyAdmin


@admin.register(models.CheckStatus)
class CheckStatusAdmin(ReadOnlyAdmin):
    list_display = [
        "check_row", "state", "since", "own_state", "culprit", "flapping", "last_run_at",
        "last_latency_ms", "next_due_at",
    ]  # fmt: skip
    list_filter = ["state", "own_state", "flapping"]
    search_fields = ["check_row__name"]
    list_select_related = ["check_row", "culprit"]


@admin.register(models.StateChange)
class StateChangeAdmin(ReadOnlyAdmin):
    list_display = ["since", "check_row", "from_state", "state", "culprit", "reason", "at"]
    list_filter = ["state"]
    search_fields = ["check_row__name", "culprit", "reason"]
    list_select_related = ["check_row"]
    show_full_result_count = False


@admin.register(models.Outage)
class OutageAdmin(ReadOnlyAdmin):
    list_display = ["started_at", "check_row", "ended_at", "announced_at", "held_by", "culprit"]
    list_filter = ["held_by"]
    search_fields = ["check_row__name", "culprit", "output"]
    list_select_related = ["check_row"]
    show_full_result_count = False


@admin.register(models.JournalReader)
class JournalReaderAdmin(ReadOnlyAdmin):
    list_display = ["reader", "cursor"]


@admin.register(models.CheckResult)
class CheckResultAdmin(BigTableAdmin):
    list_display = ["at", "check_id", "status", "cause", "latency_ms", "output"]
    list_filter = ["status", "cause"]
    search_fields = ["output"]
    ordering = ["-at"]
    # Its rows are known by check and time together; none can be opened.
    list_display_links = None


class SecondsAdmin(BigTableAdmin):
    """Seconds by state: all columns."""

    list_display_links = None

    def get_list_display(self, request: HttpRequest) -> Any:
        return [field.name for field in self.model._meta.concrete_fields]


@admin.register(models.CheckMinute)
class CheckMinuteAdmin(SecondsAdmin):
    ordering = ["-minute"]


@admin.register(models.CheckHour, models.ServiceHour)
class HourAdmin(SecondsAdmin):
    ordering = ["-hour"]
