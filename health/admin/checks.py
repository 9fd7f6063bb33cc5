"""Services, checks and what depends on what."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from health.admin.serviced import Given, ServicedAdmin, ServiceForm, who
from health.models import Check, Dependency, Service
from health.services.checks import check_create, check_delete, check_update
from health.services.dependencies import (
    dependency_accept,
    dependency_declare,
    dependency_reject,
    dependency_remove,
)
from health.services.reprobes import reprobe
from health.services.targets import kinds_known


@admin.register(Service)
class ServiceAdmin(admin.ModelAdmin):
    list_display = ["name", "environment", "version", "language", "criticality", "last_seen"]
    list_filter = ["environment", "language", "criticality"]
    search_fields = ["name", "description"]
    readonly_fields = ["first_seen", "last_seen"]


class CheckForm(ServiceForm):
    """A check; secrets of its target are masked, and a mask that stays keeps its secret."""

    service = forms.CharField(
        max_length=200, help_text="A name that the catalogue does not know comes into it."
    )
    kind = forms.ChoiceField()
    target = forms.JSONField(
        help_text="The options of the kind as JSON. *** keeps a secret as it is; "
        "${RESILIENCE_CHECK_…} names a variable of the worker's environment."
    )
    interval_seconds = forms.FloatField(required=False, help_text="Empty: the site's.")
    timeout_seconds = forms.FloatField(required=False, help_text="Empty: the site's.")
    runbook_url = forms.CharField(required=False, label="Runbook URL")

    class Meta:
        model = Check
        fields = [
            "name", "kind", "service", "target", "interval_seconds", "timeout_seconds",
            "failures_to_down", "successes_to_up", "degraded_above_ms", "settle_seconds",
            "critical", "enabled", "description", "runbook_url",
        ]  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        kind = self.fields.get("kind")
        if isinstance(kind, forms.ChoiceField):
            kind.choices = [(name, each.label) for name, each in kinds_known().items()]


@admin.register(Check)
class CheckAdmin(ServicedAdmin):
    form = CheckForm
    list_display = ["name", "service_id", "kind", "state", "since", "enabled", "managed_by"]
    list_filter = ["status__state", "kind", "enabled", "critical"]
    search_fields = ["name", "service__name", "description"]
    list_select_related = ["status"]
    actions = ["run_now", "enable", "disable"]

    @admin.display(ordering="status__state")
    def state(self, check: Check) -> str:
        return check.status.get_state_display()

    @admin.display(ordering="status__since")
    def since(self, check: Check) -> Any:
        return check.status.since

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> list[str]:
        return [] if obj is None else ["kind"]

    def create(self, request: HttpRequest, given: Given) -> Model:
        return check_create(**given, **who(request))

    def change(self, request: HttpRequest, row: Any, changes: Given, version: int | None) -> Model:
        return check_update(check_id=row.id, changes=changes, if_match=version, **who(request))

    def remove(self, request: HttpRequest, row: Any) -> None:
        check_delete(check_id=row.id, **who(request))

    def _switch(self, request: HttpRequest, queryset: QuerySet[Check], on: bool) -> None:
        def do(check: Check) -> None:
            check_update(check_id=check.id, changes={"enabled": on}, **who(request))

        self.each(request, queryset, "Enable" if on else "Disable", do)

    @admin.action(description="Run now", permissions=["change"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[Check]) -> None:
        now = who(request)["now"]
        due = list(queryset.filter(enabled=True).values_list("id", flat=True))
        reprobe(check_ids=due, now=now)
        self.message_user(request, f"{len(due)} of {len(queryset)} are due now.")

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Check]) -> None:
        self._switch(request, queryset, True)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Check]) -> None:
        self._switch(request, queryset, False)


class DependencyForm(ServiceForm):
    """A declared edge."""

    child = forms.CharField(help_text="check:NAME or service:NAME")
    parent = forms.CharField(help_text="What the child needs: check:NAME or service:NAME")

    class Meta:
        model = Dependency
        fields = ["hard", "reason"]

    field_order = ["child", "parent", "hard", "reason"]


@admin.register(Dependency)
class DependencyAdmin(ServicedAdmin):
    form = DependencyForm
    list_display = ["__str__", "hard", "status", "calls", "last_seen", "decided_by", "managed_by"]
    list_filter = ["status", "hard"]
    search_fields = [
        "child_check__name", "child_service__name", "parent_check__name", "parent_service__name",
    ]  # fmt: skip
    list_select_related = ["child_check", "parent_check"]
    actions = ["accept", "reject"]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # An edge is declared, decided on and deleted; what it joins does not change.
        return obj is None and super().has_change_permission(request, obj)

    def create(self, request: HttpRequest, given: Given) -> Model:
        return dependency_declare(**given, **who(request))

    def remove(self, request: HttpRequest, row: Any) -> None:
        dependency_remove(dependency_id=row.id, **who(request))

    @admin.action(description="Accept", permissions=["change"])
    def accept(self, request: HttpRequest, queryset: QuerySet[Dependency]) -> None:
        self.each(
            request,
            queryset,
            "Accept",
            lambda edge: dependency_accept(dependency_id=edge.id, **who(request)),
        )

    @admin.action(description="Reject", permissions=["change"])
    def reject(self, request: HttpRequest, queryset: QuerySet[Dependency]) -> None:
        self.each(
            request,
            queryset,
            "Reject",
            lambda edge: dependency_reject(dependency_id=edge.id, **who(request)),
        )
