"""Channels, the outbox and its attempts; sealed secrets are shown to nobody."""

from __future__ import annotations

from django.contrib import admin

from alerting import models
from resilience_site.core.admin import ReadOnlyAdmin


@admin.register(models.Channel)
class ChannelAdmin(ReadOnlyAdmin):
    list_display = ["name", "kind", "enabled", "failures", "failing_since", "paused_at"]
    list_filter = ["kind", "enabled"]
    search_fields = ["name"]
    exclude = ["sealed"]


@admin.register(models.Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "channel_name", "purpose", "state", "attempts", "ended_at"]
    list_filter = ["state", "purpose"]
    search_fields = ["id__exact", "channel_name"]


@admin.register(models.DeliveryAttempt)
class DeliveryAttemptAdmin(ReadOnlyAdmin):
    list_display = ["at", "delivery_id", "n", "outcome", "status", "milliseconds"]
    list_filter = ["outcome"]
    search_fields = ["delivery__id__exact"]
