"""What people decide: lists that are read only, with actions that call the services of the screens.

Each action first asks on a page of its own. Who may do what is decided by the service, by the role
of the person; what it refuses is shown as a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from breakers import models
from breakers.admin.asking import Affected, AskingAdmin, Given
from breakers.admin.forcing import ForcingAdmin, who
from breakers.admin.forms import AskForm, LastingForm, LevelForm
from breakers.choices import Level, MemberSource
from breakers.services.degraded import degraded_set
from breakers.services.members import domain_member_add, domain_member_remove
from breakers.services.overrides import override_clear, override_target
from breakers.services.toggles import toggle_revert, toggle_set
from resilience_site.core.admin import ReadOnlyAdmin
from resilience_site.core.choices import Role
from resilience_site.core.permissions import role_allows, role_of
from resilience_site.core.problems import Invalid, Problem


class SteeringAdmin(AskingAdmin, ReadOnlyAdmin):
    """Rows that people act upon by actions alone."""


def _seen(request: HttpRequest, row: Model) -> int | None:
    """The version of a row that the asking page showed."""
    text = request.POST.get(f"version-{row.pk}", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


@admin.register(models.Override)
class OverrideAdmin(SteeringAdmin):
    list_display = [
        "created_at", "scope", "service", "name", "instance", "domain", "state", "actor",
        "reason", "expires_at", "ended_at", "ending",
    ]  # fmt: skip
    list_filter = ["scope", "state", "ending"]
    search_fields = ["service", "name", "domain", "actor", "reason"]
    actions = ["expire_now"]

    @admin.action(description="End now …")
    def expire_now(
        self, request: HttpRequest, queryset: QuerySet[models.Override]
    ) -> HttpResponse | None:
        def do(row: models.Override, given: Given) -> None:
            if row.ended_at is not None:
                raise Invalid(f"The override of {row} has ended already.")
            override_clear(target=override_target(row), reason=given["reason"], **who(request))

        def affected(rows: Sequence[models.Override]) -> Affected:
            return [("", [override_target(row) for row in rows if row.ended_at is None])]

        return self.ask(request, queryset, AskForm, "End now", do, affected=affected)


@admin.register(models.Toggle)
class ToggleAdmin(SteeringAdmin):
    list_display = [
        "key", "is_set", "value", "rollout", "services", "owner", "actor", "reason", "expires_at",
    ]  # fmt: skip
    list_filter = ["is_set", "owner"]
    search_fields = ["key", "owner", "description"]
    actions = ["set_on", "set_off", "revert", "expire_now"]

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[models.Toggle], value: bool
    ) -> HttpResponse | None:
        def do(toggle: models.Toggle, given: Given) -> None:
            toggle_set(
                key=toggle.key,
                value=value,
                otherwise=toggle.otherwise,
                rollout=toggle.rollout,
                services=toggle.services,
                instances=toggle.instances,
                reason=given["reason"],
                expires_in=given["expires_in"],
                if_match=_seen(request, toggle),
                **who(request),
            )

        title = f"Switch {'on' if value else 'off'}"
        return self.ask(request, queryset, LastingForm, title, do)

    @admin.action(description="Switch on …")
    def set_on(
        self, request: HttpRequest, queryset: QuerySet[models.Toggle]
    ) -> HttpResponse | None:
        return self._switch(request, queryset, True)

    @admin.action(description="Switch off …")
    def set_off(
        self, request: HttpRequest, queryset: QuerySet[models.Toggle]
    ) -> HttpResponse | None:
        return self._switch(request, queryset, False)

    @admin.action(description="Put back …")
    def revert(
        self, request: HttpRequest, queryset: QuerySet[models.Toggle]
    ) -> HttpResponse | None:
        def do(toggle: models.Toggle, given: Given) -> None:
            toggle_revert(
                key=toggle.key,
                reason=given["reason"],
                if_match=_seen(request, toggle),
                **who(request),
            )

        return self.ask(request, queryset, AskForm, "Put back", do)

    @admin.action(description="Expire now …")
    def expire_now(
        self, request: HttpRequest, queryset: QuerySet[models.Toggle]
    ) -> HttpResponse | None:
        def do(toggle: models.Toggle, given: Given) -> None:
            if not toggle.is_set or toggle.expires_at is None:
                raise Invalid(f"{toggle.key} has no end that could come now.")
            toggle_revert(
                key=toggle.key,
                reason=given["reason"] or "expired in the admin",
                if_match=_seen(request, toggle),
                **who(request),
            )

        return self.ask(request, queryset, AskForm, "Expire now", do)


class ServiceLevelAdmin(SteeringAdmin):
    """Rows that stand for a service each, whose level can be set."""

    actions = ["set_level", "end_level"]

    def seen(self, request: HttpRequest, row: Any) -> int | None:
        """The version of the level that the asking page showed; None where it showed none."""
        return _seen(request, row) if isinstance(row, models.DegradedMode) else None

    @admin.action(description="Set the degraded level …")
    def set_level(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        def do(row: Any, given: Given) -> None:
            degraded_set(
                service=row.service, if_match=self.seen(request, row), **given, **who(request)
            )

        return self.ask(request, queryset, LevelForm, "Set the degraded level", do)

    @admin.action(description="Back to normal …")
    def end_level(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        def do(row: Any, given: Given) -> None:
            degraded_set(
                service=row.service,
                level=Level.NORMAL,
                reason=given["reason"],
                if_match=self.seen(request, row),
                **who(request),
            )

        return self.ask(request, queryset, AskForm, "Back to normal", do)


@admin.register(models.DegradedMode)
class DegradedModeAdmin(ServiceLevelAdmin):
    list_display = ["service", "level", "notice", "actor", "reason", "created_at", "expires_at"]
    list_filter = ["level"]
    search_fields = ["service", "notice", "reason"]


@admin.register(models.ControlDocument)
class ControlDocumentAdmin(ServiceLevelAdmin):
    list_display = ["service", "version", "changed_at"]
    search_fields = ["service"]


@admin.register(models.DomainMember)
class DomainMemberAdmin(ForcingAdmin):
    """Added and taken away, never altered; what services report stays. The actions concern the
    whole failure domains of what is selected."""

    list_display = ["domain", "service", "name", "source"]
    list_filter = ["source", "domain"]
    search_fields = ["domain", "service", "name"]
    fields = ["domain", "service", "name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return role_allows(role_of(request.user), Role.OPERATOR) and super().has_add_permission(
            request
        )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: models.DomainMember | None = None
    ) -> bool:
        if obj is not None and obj.source != MemberSource.SET:
            return False
        return role_allows(role_of(request.user), Role.OPERATOR) and super().has_delete_permission(
            request, obj
        )

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Problem as problem:
            self.message_user(request, problem.detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(
        self, request: HttpRequest, obj: models.DomainMember, form: forms.Form, change: bool
    ) -> None:
        made = domain_member_add(
            domain=obj.domain, service=obj.service, name=obj.name, **who(request)
        )
        # The admin goes on with the object that it was about to save.
        obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: models.DomainMember) -> None:
        domain_member_remove(member_id=obj.pk, **who(request))

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[models.DomainMember]
    ) -> None:
        for member in queryset:
            try:
                domain_member_remove(member_id=member.pk, **who(request))
            except Problem as problem:
                self.message_user(request, problem.detail, messages.ERROR)
