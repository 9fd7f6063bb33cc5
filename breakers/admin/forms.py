"""What the admin asks before it acts: why, and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import HttpRequest

from breakers.choices import Level, OverrideScope
from breakers.selectors.domains import domains_of
from breakers.services.degraded import MAX_NOTICE
from breakers.services.requests import MAX_TEXT
from breakers.views.forms import expiries

EVERYWHERE = [
    (OverrideScope.INSTANCE, "The selected instances alone"),
    (OverrideScope.SERVICE, "All instances of their services"),
    (OverrideScope.DOMAIN, "Their failure domains, in every service"),
]


class AskForm(forms.Form):
    """A reason that may stay empty."""

    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=MAX_TEXT,
        required=False,
        help_text="Kept in the audit trail.",
    )

    # What was selected, for forms whose answers must fit it.
    rows: Sequence[Any] = ()

    def __init__(self, request: HttpRequest, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        self.request = request


class ReasonForm(AskForm):
    """A reason."""

    def __init__(self, request: HttpRequest, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(request, data)
        self.fields["reason"].required = True


class ExpiringForm(ReasonForm):
    """A reason, and an end that the person's role may choose."""

    expires_in = forms.TypedChoiceField(label="Ends by itself after", coerce=int)

    def __init__(self, request: HttpRequest, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(request, data)
        field = self.fields["expires_in"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = expiries(request)
        self.order_fields([name for name in self.fields if name != "reason"])


class PlaceForm(AskForm):
    """For which instances of the selected breakers, or for their failure domains."""

    scope = forms.ChoiceField(label="For", choices=EVERYWHERE)

    def clean_scope(self) -> str:
        scope = str(self.cleaned_data["scope"])
        if scope != OverrideScope.DOMAIN:
            return scope
        places = {(row.service, row.name) for row in self.rows}
        if alone := sorted(places - domains_of(places).keys()):
            named = ", ".join(f"{name} of {service}" for service, name in alone)
            raise forms.ValidationError(
                f"In no failure domain: {named}. Choose another place, or select without them."
            )
        return scope


class OverrideForm(PlaceForm, ExpiringForm):
    """Where a state is forced, why, and until when."""


class ResetForm(PlaceForm, ReasonForm):
    """Where breakers are reset, and why."""


class LastingForm(ExpiringForm):
    """As `ExpiringForm`, but it need not end."""

    def __init__(self, request: HttpRequest, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(request, data)
        field = self.fields["expires_in"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = [*expiries(request), ("", "No end")]
        field.required = False
        field.empty_value = None


class LevelForm(LastingForm):
    """The level that services run at, and what their users read."""

    level = forms.ChoiceField(
        choices=[each for each in Level.choices if each[0] != Level.NORMAL],
    )
    notice = forms.CharField(
        label="Notice for users",
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=MAX_NOTICE,
        required=False,
        help_text="Everybody can read it. Empty: a text that fits the level.",
    )
    field_order = ["level", "notice", "expires_in", "reason"]
