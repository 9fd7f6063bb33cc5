from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from resilience_site.core import keys
from resilience_site.core.models import ApiKey, AuditEntry, JournalEntry
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Invalid

_MOST_SHOWN = 10_000


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that only the site itself writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class BoundedPaginator(Paginator):
    """Counts as far as a person pages; counting a partitioned table would read all of it."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Model] = self.object_list  # type: ignore[assignment]  # the admin's own
        return len(rows.order_by().values_list("pk", flat=True)[:_MOST_SHOWN])


class BigTableAdmin(ReadOnlyAdmin):
    """A partitioned table, newest rows first."""

    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    list_display = ["id", "at", "topic", "kind", "key", "state", "service"]
    list_filter = ["topic"]
    search_fields = ["kind", "key", "service"]
    # Counting all partitions on each visit would cost more than the page.
    show_full_result_count = False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor", "actor_kind", "action", "object_type", "object_id", "until"]
    list_filter = ["actor_kind", "action", "object_type"]
    search_fields = ["actor", "action", "object_id", "reason"]
    date_hierarchy = "at"
    fieldsets = [
        (None, {"fields": ["at", "actor", "actor_kind", "remote_address"]}),
        ("What", {"fields": ["action", "object_type", "object_id", "before", "after"]}),
        ("Why and until when", {"fields": ["reason", "until"]}),
    ]


class ApiKeyForm(forms.ModelForm):
    """What a person chooses for a new key; the rest is made by the service."""

    class Meta:
        model = ApiKey
        fields = ["name", "scope", "expires_at"]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        try:
            keys.key_expiry_check(self.cleaned_data.get("expires_at"))
        except Invalid as problem:
            self.add_error("expires_at", problem.detail)
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    form = ApiKeyForm
    list_display = ["name", "prefix", "scope", "created_by", "created_at", "last_used_at"]
    list_display += ["expires_at", "revoked_at"]
    list_filter = ["scope", "revoked_at"]
    search_fields = ["name", "prefix", "created_by"]
    actions = ["revoke"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A key is made and revoked, never altered: its scope was part of what was granted.
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        key, token = keys.key_create(
            name=obj.name, scope=obj.scope, expires_at=obj.expires_at, actor=actor_of(request)
        )
        # The admin goes on with the object that it was about to save.
        obj.__dict__.update(key.__dict__)
        self.message_user(
            request, f"Copy the key now, it is not shown again: {token}", messages.WARNING
        )

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            keys.key_revoke(key_id=key.pk, actor=actor_of(request), reason="revoked in the admin")
        self.message_user(request, f"Revoked {len(queryset)} keys.")
