"""Forcing states upon breakers and resetting them, from lists of breakers and of failure domains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from breakers import models
from breakers.admin.asking import Affected, AskingAdmin, Given
from breakers.admin.forms import (
    EVERYWHERE,
    AskForm,
    ExpiringForm,
    OverrideForm,
    PlaceForm,
    ReasonForm,
    ResetForm,
)
from breakers.choices import OverrideScope, OverrideState
from breakers.selectors.domains import domains_of
from breakers.services.commands import breaker_reset
from breakers.services.overrides import override_clear, override_set
from breakers.services.targets import Target
from resilience_site.core.admin import ReadOnlyAdmin
from resilience_site.core.permissions import actor_of, role_of

_FORCE = {
    OverrideState.FORCED_OPEN: "Force open",
    OverrideState.FORCED_CLOSED: "Force closed",
    OverrideState.DISABLED: "Disable",
    OverrideState.METRICS_ONLY: "Only measure",
}


def who(request: HttpRequest) -> dict[str, Any]:
    """On whose behalf a service acts."""
    return {"actor": actor_of(request), "role": role_of(request.user)}


class ForcingAdmin(AskingAdmin):
    """Rows that stand for failure domains, or for what `targets` says."""

    actions = ["force_open", "force_closed", "disable", "metrics_only", "revert", "reset"]
    override_form: type[ExpiringForm] = ExpiringForm
    revert_form: type[AskForm] = AskForm
    reset_form: type[ReasonForm] = ReasonForm

    def targets(self, rows: Iterable[Any], given: Given) -> list[Target]:
        """What selected rows stand for, each place once."""
        return list(dict.fromkeys(Target.of_domain(row.domain) for row in rows))

    def affected(self, rows: Sequence[Any]) -> Affected:
        """What the page tells about before it acts."""
        return [("", self.targets(rows, {}))]

    def _ask(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        form: type[AskForm],
        title: str,
        do: Any,
    ) -> HttpResponse | None:
        return self.ask(request, queryset, form, title, do, self.targets, self.affected)

    def _force(
        self, request: HttpRequest, queryset: QuerySet[Any], state: OverrideState
    ) -> HttpResponse | None:
        def do(target: Target, given: Given) -> None:
            override_set(
                target=target,
                state=state,
                reason=given["reason"],
                expires_in=given["expires_in"],
                **who(request),
            )

        return self._ask(request, queryset, self.override_form, _FORCE[state], do)

    @admin.action(description="Force open …")
    def force_open(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.FORCED_OPEN)

    @admin.action(description="Force closed …")
    def force_closed(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.FORCED_CLOSED)

    @admin.action(description="Disable …")
    def disable(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.DISABLED)

    @admin.action(description="Only measure …")
    def metrics_only(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._force(request, queryset, OverrideState.METRICS_ONLY)

    @admin.action(description="Take overrides back …")
    def revert(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        def do(target: Target, given: Given) -> None:
            override_clear(target=target, reason=given["reason"], **who(request))

        return self._ask(request, queryset, self.revert_form, "Take overrides back", do)

    @admin.action(description="Reset …")
    def reset(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        def do(target: Target, given: Given) -> None:
            breaker_reset(target=target, reason=given["reason"], **who(request))

        return self._ask(request, queryset, self.reset_form, "Reset", do)


@admin.register(models.Breaker)
class BreakerAdmin(ForcingAdmin, ReadOnlyAdmin):
    list_display = ["service", "name", "instance", "state", "since", "reason", "last_seen"]
    list_filter = ["state", "service"]
    search_fields = ["service", "name", "instance"]
    override_form = OverrideForm
    revert_form = PlaceForm
    reset_form = ResetForm

    def targets(self, rows: Iterable[models.Breaker], given: Given) -> list[Target]:
        """A whole breaker, or a failure domain, is named once, however many rows it has."""
        if given["scope"] == OverrideScope.INSTANCE:
            # Of one that has no name the service refuses this; it must not become all instances.
            return [Target(OverrideScope.INSTANCE, r.service, r.name, r.instance) for r in rows]
        places = dict.fromkeys((row.service, row.name) for row in rows)
        if given["scope"] == OverrideScope.DOMAIN:
            names = {domain for found in domains_of(places).values() for domain in found}
            return [Target.of_domain(name) for name in sorted(names)]
        return [Target.of_breaker(*place) for place in places]

    def affected(self, rows: Sequence[models.Breaker]) -> Affected:
        offered = [(label, self.targets(rows, {"scope": scope})) for scope, label in EVERYWHERE]
        return [(label, targets) for label, targets in offered if targets]
