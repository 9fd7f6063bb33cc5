"""What people decide: lists that are read only, with actions that call the services of the screens.

Each action first asks on a page of its own. Who may do what is decided by the service, by the role
of the person; what it refuses is shown as a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from breakers import models
from breakers.admin.asking import AskingAdmin, Given
from breakers.admin.forms import AskForm, LastingForm, LevelForm, OverrideForm, ResetForm
from breakers.choices import Level, MemberSource, OverrideScope, OverrideState
from breakers.services.commands import breaker_reset
from breakers.services.degraded import degraded_set
from breakers.services.members import domain_member_add, domain_member_remove
from breakers.services.overrides import Target, override_clear, override_set
from breakers.services.toggles import toggle_revert, toggle_set
from resilience_site.core.admin import ReadOnlyAdmin
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, role_allows, role_of
from resilience_site.core.problems import Invalid, Problem

_FORCE = {
    OverrideState.FORCED_OPEN: "Force open",
    OverrideState.FORCED_CLOSED: "Force closed",
    OverrideState.DISABLED: "Disable",
    OverrideState.METRICS_ONLY: "Only measure",
}


class SteeringAdmin(AskingAdmin, ReadOnlyAdmin):
    """Rows that people act upon by actions alone."""


def _who(request: HttpRequest) -> dict[str, Any]:
    return {"actor": actor_of(request), "role": role_of(request.user)}


def _seen(request: HttpRequest, row: Model) -> int | None:
    """The version of a row that the asking page showed."""
    text = request.POST.get(f"version-{row.pk}", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _targets(rows: Iterable[models.Breaker], given: Given) -> list[Target]:
    """What selected breakers stand for; a whole one is named once, however many rows it has."""
    alone = given["scope"] == OverrideScope.INSTANCE
    if alone:
        # Of one that has no name the service refuses this; it must not become all instances.
        return [Target(OverrideScope.INSTANCE, r.service, r.name, r.instance) for r in rows]
    return list(dict.fromkeys(Target.of_breaker(r.service, r.name) for r in rows))


@admin.register(models.Breaker)
class BreakerAdmin(SteeringAdmin):
    list_display = ["service", "name", "instance", "state", "since", "reason", "last_seen"]
    list_filter = ["state", "service"]
    search_fields = ["service", "name", "instance"]
    actions = ["force_open", "force_closed", "disable", "metrics_only", "revert", "reset"]

    def _force(
        self, request: HttpRequest, queryset: QuerySet[models.Breaker], state: OverrideState
    ) -> HttpResponse | None:
        def do(target: Target, given: Given) -> None:
            override_set(
                target=target,
                state=state,
                reason=given["reason"],
                expires_in=given["expires_in"],
                **_who(request),
            )

        return self.ask(request, queryset, OverrideForm, _FORCE[state], do, _targets)

    @admin.action(description="Force open …")
    def force_open(
        self, request: HttpRequest, queryset: QuerySet[models.Breaker]
    ) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.FORCED_OPEN)

    @admin.action(description="Force closed …")
    def force_closed(
        self, request: HttpRequest, queryset: QuerySet[models.Breaker]
    ) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.FORCED_CLOSED)

    @admin.action(description="Disable …")
    def disable(
        self, request: HttpRequest, queryset: QuerySet[models.Breaker]
    ) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.DISABLED)

    @admin.action(description="Only measure …")
    def metrics_only(
        self, request: HttpRequest, queryset: QuerySet[models.Breaker]
    ) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.METRICS_ONLY)

    @admin.action(description="Take overrides back …")
    def revert(
        self, request: HttpRequest, queryset: QuerySet[models.Breaker]
    ) -> HttpResponse | None:
        def do(target: Target, given: Given) -> None:
            override_clear(target=target, reason=given["reason"], **_who(request))

        return self.ask(request, queryset, ResetForm, "Take overrides back", do, _targets)

    @admin.action(description="Reset …")
    def reset(
        self, request: HttpRequest, queryset: QuerySet[models.Breaker]
    ) -> HttpResponse | None:
        def do(target: Target, given: Given) -> None:
            if target.scope == OverrideScope.INSTANCE and not target.instance:
                raise Invalid("This instance has no name; reset all instances in place of it.")
            breaker_reset(
                service=target.service,
                name=target.name,
                instance=target.instance,
                reason=given["reason"],
                **_who(request),
            )

        return self.ask(request, queryset, ResetForm, "Reset", do, _targets)


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
            target = Target(
                OverrideScope(row.scope), row.service, row.name, row.instance, row.domain
            )
            override_clear(target=target, reason=given["reason"], **_who(request))

        return self.ask(request, queryset, AskForm, "End now", do)


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
                **_who(request),
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
                **_who(request),
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
                **_who(request),
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
                service=row.service, if_match=self.seen(request, row), **given, **_who(request)
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
                **_who(request),
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
class DomainMemberAdmin(admin.ModelAdmin):
    """Added and taken away, never altered; what services report stays."""

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
            domain=obj.domain, service=obj.service, name=obj.name, **_who(request)
        )
        # The admin goes on with the object that it was about to save.
        obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: models.DomainMember) -> None:
        domain_member_remove(member_id=obj.pk, **_who(request))

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[models.DomainMember]
    ) -> None:
        for member in queryset:
            try:
                domain_member_remove(member_id=member.pk, **_who(request))
            except Problem as problem:
                self.message_user(request, problem.detail, messages.ERROR)
