"""What people announce: maintenance windows, and incidents of the public status page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from health.admin.serviced import Given, ServicedAdmin, ServiceForm, who
from health.choices import IncidentStage
from health.models import Maintenance, PublicIncident, PublicIncidentUpdate
from health.services.incidents import incident_edit, incident_open, incident_resolve
from health.services.maintenance import (
    maintenance_create,
    maintenance_delete,
    maintenance_end,
    maintenance_update,
)
from resilience_site.core.admin import ReadOnlyAdmin

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class MaintenanceForm(ServiceForm):
    """A window; without services and checks it covers everything."""

    weekdays = forms.TypedMultipleChoiceField(
        choices=list(enumerate(_DAYS)),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Of weekly windows.",
    )

    class Meta:
        model = Maintenance
        fields = [
            "name", "kind", "starts_at", "ends_at", "weekdays", "start_time", "cron",
            "duration_seconds", "timezone", "services", "checks", "reason", "public_text",
        ]  # fmt: skip


@admin.register(Maintenance)
class MaintenanceAdmin(ServicedAdmin):
    form = MaintenanceForm
    list_display = ["name", "kind", "starts_at", "ends_at", "cron", "timezone", "actor", "ended_at"]
    list_filter = ["kind"]
    search_fields = ["name", "reason", "actor"]
    filter_horizontal = ["services", "checks"]
    actions = ["end"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> list[str]:
        return [] if obj is None else ["kind"]

    def create(self, request: HttpRequest, given: Given) -> Model:
        return maintenance_create(**_named(given), **who(request))

    def change(self, request: HttpRequest, row: Any, changes: Given, version: int | None) -> Model:
        return maintenance_update(
            maintenance_id=row.id, changes=_named(changes), if_match=version, **who(request)
        )

    def remove(self, request: HttpRequest, row: Any) -> None:
        maintenance_delete(maintenance_id=row.id, reason="deleted in the admin", **who(request))

    @admin.action(description="End now", permissions=["change"])
    def end(self, request: HttpRequest, queryset: QuerySet[Maintenance]) -> None:
        self.each(
            request,
            queryset,
            "End",
            lambda row: maintenance_end(
                maintenance_id=row.id, reason="ended in the admin", **who(request)
            ),
        )


class IncidentForm(ServiceForm):
    """An incident; its account begins with the first text and goes on on the screens."""

    stage = forms.ChoiceField(choices=IncidentStage.choices)
    text = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), help_text="The first update of the account."
    )

    class Meta:
        model = PublicIncident
        fields = ["title", "impact", "services", "started_at"]

    field_order = ["title", "impact", "services", "started_at", "stage", "text"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.instance._state.adding:
            del self.fields["stage"], self.fields["text"]


@admin.register(PublicIncident)
class PublicIncidentAdmin(ServicedAdmin):
    form = IncidentForm
    list_display = ["title", "impact", "started_at", "resolved_at", "created_by"]
    list_filter = ["impact"]
    search_fields = ["title"]
    filter_horizontal = ["services"]
    actions = ["resolve"]

    def get_fields(self, request: HttpRequest, obj: Any | None = None) -> Any:
        return [*IncidentForm.Meta.fields, *([] if obj else ["stage", "text"]), "seen"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # What the public was told stays told.
        return False

    def create(self, request: HttpRequest, given: Given) -> Model:
        return incident_open(**_named(given), **who(request))

    def change(self, request: HttpRequest, row: Any, changes: Given, version: int | None) -> Model:
        return incident_edit(incident_id=row.id, changes=_named(changes), **who(request))

    @admin.action(description="Resolve", permissions=["change"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[PublicIncident]) -> None:
        self.each(
            request,
            queryset,
            "Resolve",
            lambda row: incident_resolve(incident_id=row.id, **who(request)),
        )


@admin.register(PublicIncidentUpdate)
class PublicIncidentUpdateAdmin(ReadOnlyAdmin):
    list_display = ["at", "incident", "stage", "text", "actor"]
    list_filter = ["stage"]
    search_fields = ["text", "incident__title"]
    list_select_related = ["incident"]


def _named(given: Given) -> Given:
    """Services and checks by their names, as the services take them."""
    rows: Given = {
        key: [each.name for each in given[key]] for key in ("services", "checks") if key in given
    }
    return {**given, **rows}
