"""Actions of the stock admin that first ask: why, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from breakers.admin.forms import AskForm
from breakers.services.targets import Target
from resilience_site.core.audit import audit_refused
from resilience_site.core.permissions import actor_of
from resilience_site.core.problems import Problem

Given = dict[str, Any]
Affected = list[tuple[str, list[Target]]]
# Leaves room for what the audit trail adds to it.
_MOST_ACTION = 80


class AskingAdmin(admin.ModelAdmin):
    """Actions that first ask on a page of their own."""

    def ask(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        form_class: type[AskForm],
        title: str,
        do: Callable[[Any, Given], object],
        targets: Callable[[Iterable[Any], Given], Iterable[Any]] = lambda rows, given: rows,
        affected: Callable[[Sequence[Any]], Affected] = lambda rows: [],
    ) -> HttpResponse | None:
        """Ask with a form, then `do` it to each of the `targets` that the selected rows stand for.

        The page tells who is `affected`: by what the form offers, the places that it would mean.
        """
        rows = list(queryset)
        form = form_class(request, request.POST if "apply" in request.POST else None)
        form.rows = rows
        if form.is_bound and form.is_valid():
            self._do(request, title, do, targets(rows, form.cleaned_data), form.cleaned_data)
            return None
        if form.is_bound:
            self._audit(request, rows, form)
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "rows": rows,
            "affected": affected(rows),
            "form": form,
            "action": request.POST.get("action", ""),
            "select_across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/breakers/act.html", context)

    def _audit(self, request: HttpRequest, rows: Iterable[Any], form: AskForm) -> None:
        """Record what the form refused before any service could."""
        audit_refused(
            actor=actor_of(request),
            action=f"{self.opts.model_name}.{request.POST.get('action', '')}"[:_MOST_ACTION],
            object_type=str(self.opts.model_name),
            object_id=", ".join(map(str, rows)),
            reason="; ".join(
                f"{field}: {' '.join(map(str, each))}" for field, each in form.errors.items()
            ),
        )

    def _do(
        self,
        request: HttpRequest,
        title: str,
        do: Callable[[Any, Given], object],
        targets: Iterable[Any],
        given: Given,
    ) -> None:
        done, refusals = 0, dict[str, None]()
        for target in targets:
            try:
                do(target, given)
            except Problem as problem:
                refusals[problem.detail] = None
            else:
                done += 1
        for refusal in refusals:
            self.message_user(request, f"{title}: refused. {refusal}", messages.ERROR)
        if done:
            self.message_user(request, f"{title}: requested for {done}.", messages.SUCCESS)
