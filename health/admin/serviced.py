"""Admin pages whose writes are calls of services: these check, refuse, audit and tell pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.permissions import actor_of, role_allows, role_of
from resilience_site.core.problems import Invalid, Problem

Given = dict[str, Any]


def who(request: HttpRequest) -> dict[str, Any]:
    """Who acts, and when, as services take it."""
    actor: Actor = actor_of(request)
    return {"actor": actor, "now": datetime.now(UTC)}


class ServiceForm(forms.ModelForm):
    """A form whose last check is the service that does it: what that refuses is shown beside its
    field. A row that changed since the form was opened is not overwritten."""

    # Set by the admin for each request: does it, and returns the row.
    submit: Callable[[ServiceForm], Model]
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["seen"].initial = getattr(self.instance, "version", None)

    def given(self) -> Given:
        """All values, without what the form adds for itself."""
        return {name: value for name, value in self.cleaned_data.items() if name != "seen"}

    def changes(self) -> Given:
        """The values that the person changed."""
        return {name: value for name, value in self.given().items() if name in self.changed_data}

    def _post_clean(self) -> None:
        # In place of the model's own validation, which knows less than the service.
        if self.errors:
            return
        try:
            self.instance = type(self).submit(self)
        except Invalid as problem:
            self._refused(problem)
        except Problem as problem:
            self.add_error(None, problem.detail)

    def _refused(self, problem: Invalid) -> None:
        for error in problem.errors:
            name = error.field.removeprefix("body.").partition(".")[0]
            self.add_error(name if name in self.fields else None, error.message)
        if not problem.errors:
            self.add_error(None, problem.detail)


class ServicedAdmin(admin.ModelAdmin):
    """Rows that are written by services alone, and by operators alone."""

    form: type[ServiceForm]

    def create(self, request: HttpRequest, given: Given) -> Model:
        """Make a row of what the form says."""
        raise NotImplementedError

    def change(self, request: HttpRequest, row: Any, changes: Given, version: int | None) -> Model:
        """Change a row."""
        raise NotImplementedError

    def remove(self, request: HttpRequest, row: Any) -> None:
        """Delete a row."""
        raise NotImplementedError

    # --- Who may

    def _operates(self, request: HttpRequest) -> bool:
        return role_allows(role_of(request.user), Role.OPERATOR)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._operates(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._operates(request) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._operates(request) and super().has_delete_permission(request, obj)

    # --- What the admin does, done by services

    def get_form(
        self, request: HttpRequest, obj: Any | None = None, change: bool = False, **options: Any
    ) -> Any:
        # A class of its own for each request.
        form: Any = super().get_form(request, obj, change, **options)

        def submit(filled: ServiceForm) -> Model:
            if obj is None:
                return self.create(request, filled.given())
            changes, version = filled.changes(), filled.cleaned_data.get("seen")
            return self.change(request, obj, changes, version) if changes else obj

        form.submit = staticmethod(submit)
        return form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form's last check has done it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The form's last check has done it."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.each(request, queryset, "Delete", lambda row: self.remove(request, row))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(
                request, object_id, None if extra_context is None else dict(extra_context)
            )
        except Problem as problem:
            self.message_user(request, f"Refused. {problem.detail}", messages.ERROR)
            return HttpResponseRedirect(request.path.replace("/delete/", "/change/"))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # History goes with its check, though nobody may delete single rows of it.
        return [str(each) for each in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    def each(
        self,
        request: HttpRequest,
        rows: Iterable[Any],
        title: str,
        do: Callable[[Any], object],
    ) -> None:
        """Do something to each of the selected rows; say what was refused and how many were done."""
        done, refusals = 0, dict[str, None]()
        for row in rows:
            try:
                do(row)
            except Problem as problem:
                refusals[problem.detail] = None
            else:
                done += 1
        for refusal in refusals:
            self.message_user(request, f"{title}: refused. {refusal}", messages.ERROR)
        if done:
            self.message_user(request, f"{title}: done for {done}.", messages.SUCCESS)
