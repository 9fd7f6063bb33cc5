"""The settings that the site gives a breaker: read from a form, and told before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from breakers.domain.policy import TUNABLE, Setting, kept_by_service
from breakers.selectors.breaker_view import BreakerView
from resilience_site.core.problems import Invalid

NONE: Final = "none"
_MOST: Final = 40


@dataclass(frozen=True, slots=True)
class Field:
    """A setting in the form: what the site gives as text, and what the service reports."""

    name: str
    setting: Setting
    given: str
    reported: str
    kept: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting before and after a change."""

    label: str
    unit: str
    before: str
    after: str


def settings_in(form: QueryDict) -> dict[str, Any]:
    """The settings in a form; empty fields give none. Raises `Invalid`."""
    given: dict[str, Any] = {}
    for name, setting in TUNABLE.items():
        text = form.get(name, "").replace("\0", "").strip()[:_MOST]
        if text:
            given[name] = _value(name, setting, text)
    return given


def _value(name: str, setting: Setting, text: str) -> Any:
    if setting.choices:
        return text
    if setting.optional and text.lower() == NONE:
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        optional = f", or {NONE}" if setting.optional else ""
        raise Invalid.field(name, f"{setting.label}: {text!r} is no number{optional}.")
    return int(number) if number == int(number) else number


def fields(
    view: BreakerView, given: Mapping[str, Any], form: QueryDict | None = None
) -> list[Field]:
    """All that can be tuned; a form that was sent keeps its texts."""
    reported = view.policy or {}
    kept = kept_fields(view, given)
    return [
        Field(
            name,
            setting,
            form.get(name, "") if form is not None else text_of(given, name),
            text_of(reported, name),
            text_of(kept, name),
        )
        for name, setting in TUNABLE.items()
    ]


def kept_fields(view: BreakerView, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a service keeps although every instance knows what the site gives: an argument
    in its own code is stronger."""
    done, of = view.applied()
    return kept_by_service(view.policy, given) if of and done == of else {}


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], reported: Mapping[str, Any] | None
) -> list[Difference]:
    """What changes when the site gives `after` in place of `before`."""
    known = reported or {}
    return [
        Difference(
            setting.label,
            setting.unit,
            _told(before, name, known),
            # What is no longer given goes back to what the service itself has, which only it knows.
            text_of(after, name) or "the service's own",
        )
        for name, setting in TUNABLE.items()
        if (name in before, before.get(name)) != (name in after, after.get(name))
    ]


def _told(before: Mapping[str, Any], name: str, reported: Mapping[str, Any]) -> str:
    if name in before:
        return text_of(before, name)
    if name in reported:
        return f"{text_of(reported, name)} (the service's own)"
    return "the service's own"


def text_of(policy: Mapping[str, Any], name: str) -> str:
    """A setting as text; empty where it is not there."""
    if name not in policy:
        return ""
    value = policy[name]
    if value is None:
        return NONE
    return f"{value:g}" if isinstance(value, float) else str(value)
