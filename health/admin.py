from __future__ import annotations

from django.contrib import admin

from health.models import Service


@admin.register(Service)
class ServiceAdmin(admin.ModelAdmin):
    list_display = ["name", "environment", "version", "language", "criticality", "last_seen"]
    list_filter = ["environment", "language", "criticality"]
    search_fields = ["name", "description"]
    readonly_fields = ["first_seen", "last_seen"]
