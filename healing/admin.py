"""The stock admin of healing: workflows edited as text, modes, the kill switch and quarantine by the
services of the screens; what runs do is read only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse

from breakers.admin.asking import AskingAdmin
from breakers.admin.forms import ReasonForm
from breakers.admin.steering import SteeringAdmin
from healing import models
from healing.choices import Mode
from healing.services.quarantine import quarantine_release
from healing.services.switches import switch_set
from healing.services.workflows.modes import workflow_mode_set
from healing.services.workflows.store import (
    workflow_create,
    workflow_delete,
    workflow_switch,
    workflow_update,
)
from health.admin.serviced import Given, ServicedAdmin, ServiceForm, who
from resilience_site.core.admin import ReadOnlyAdmin
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, role_allows, role_of


class WorkflowForm(ServiceForm):
    """A workflow as its text; faults are told with their lines."""

    text = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 40, "cols": 110, "spellcheck": "false"}),
        help_text="YAML. Runs that have begun go on with the text that they began with.",
        strip=False,
    )
    reason = forms.CharField(required=False, max_length=1_000, help_text="Kept in the audit trail.")

    class Meta:
        model = models.Workflow
        fields = ["text"]

    def clean_text(self) -> str:
        # As browsers send it, lines end otherwise.
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


class ModeForm(ReasonForm):
    """How far the workflows may go, and why."""

    mode = forms.ChoiceField(choices=Mode.choices)
    field_order = ["mode", "reason"]


@admin.register(models.Workflow)
class WorkflowAdmin(ServicedAdmin, AskingAdmin):
    form = WorkflowForm
    list_display = [
        "name",
        "title",
        "mode",
        "enabled",
        "priority",
        "origin",
        "version",
        "changed_at",
    ]
    list_filter = ["mode", "enabled", "origin"]
    search_fields = ["name", "title"]
    fields = ["text", "reason", "seen"]
    actions = ["set_mode", "switch_on", "switch_off"]

    def create(self, request: HttpRequest, given: Given) -> Model:
        return workflow_create(text=given["text"], reason=given["reason"], **who(request))

    def change(self, request: HttpRequest, row: Any, changes: Given, version: int | None) -> Model:
        return workflow_update(
            name=row.name,
            text=changes.get("text", row.text),
            reason=changes.get("reason", ""),
            if_match=version,
            **who(request),
        )

    def remove(self, request: HttpRequest, row: Any) -> None:
        workflow_delete(name=row.name, reason="deleted in the admin", **who(request))

    @admin.action(description="Set the mode", permissions=["change"])
    def set_mode(
        self, request: HttpRequest, queryset: QuerySet[models.Workflow]
    ) -> HttpResponse | None:
        def do(row: models.Workflow, given: Given) -> None:
            workflow_mode_set(
                name=row.name, mode=given["mode"], reason=given["reason"], **who(request)
            )

        return self.ask(request, queryset, ModeForm, "Set the mode", do)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(
        self, request: HttpRequest, queryset: QuerySet[models.Workflow]
    ) -> HttpResponse | None:
        return self._switch(request, queryset, enabled=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(
        self, request: HttpRequest, queryset: QuerySet[models.Workflow]
    ) -> HttpResponse | None:
        return self._switch(request, queryset, enabled=False)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[models.Workflow], *, enabled: bool
    ) -> HttpResponse | None:
        def do(row: models.Workflow, given: Given) -> None:
            workflow_switch(name=row.name, enabled=enabled, reason=given["reason"], **who(request))

        return self.ask(request, queryset, ReasonForm, f"Switch {'on' if enabled else 'off'}", do)


class SwitchForm(ServiceForm):
    """The kill switch of a group of services, or (empty) of all healing."""

    class Meta:
        model = models.HealingSwitch
        fields = ["group", "stopped", "reason"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["reason"].required = True


@admin.register(models.HealingSwitch)
class HealingSwitchAdmin(ServicedAdmin):
    form = SwitchForm
    list_display = ["__str__", "stopped_by_site", "reason", "actor", "changed_at", "expires_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> list[str]:
        return [] if obj is None else ["group"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def create(self, request: HttpRequest, given: Given) -> Model:
        return switch_set(**given, role=role_of(request.user), **who(request))

    def change(self, request: HttpRequest, row: Any, changes: Given, version: int | None) -> Model:
        return switch_set(
            group=row.group,
            stopped=changes.get("stopped", row.stopped),
            reason=changes.get("reason", ""),
            role=role_of(request.user),
            if_match=version,
            **who(request),
        )


@admin.register(models.Quarantine)
class QuarantineAdmin(SteeringAdmin):
    list_display = ["target", "service", "reason", "since", "ended_at", "ended_by"]
    search_fields = ["target", "service"]
    actions = ["release"]

    def has_release_permission(self, request: HttpRequest) -> bool:
        return role_allows(role_of(request.user), Role.OPERATOR)

    @admin.action(description="Release", permissions=["release"])
    def release(
        self, request: HttpRequest, queryset: QuerySet[models.Quarantine]
    ) -> HttpResponse | None:
        def do(row: models.Quarantine, given: Given) -> None:
            quarantine_release(
                quarantine_id=row.id,
                reason=given["reason"],
                actor=actor_of(request),
                role=role_of(request.user),
                now=datetime.now(UTC),
            )

        return self.ask(request, queryset, ReasonForm, "Release", do)


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


@admin.register(models.DetectorCursor)
class DetectorCursorAdmin(ReadOnlyAdmin):
    list_display = ["reader", "position", "looked_at"]
