"""The settings that the site gives a breaker, as its form shows and takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.http import QueryDict

from breakers.domain.policy import TUNABLE, PolicyError, Setting, kept_by_service
from breakers.domain.settings import settings_read, text_of
from breakers.selectors.breaker_view import BreakerView
from resilience_site.core.problems import Invalid

# An instance acknowledges a document first, and reports what it works by a moment later.
_REPORTED_WITHIN: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Field:
    """A setting in the form: what the site gives as text, and what the service reports."""

    name: str
    setting: Setting
    given: str
    reported: str
    kept: str


def settings_in(form: QueryDict) -> dict[str, Any]:
    """The settings in a form; empty fields give none. Raises `Invalid`."""
    try:
        return settings_read(form)
    except PolicyError as error:
        raise Invalid.field(error.field, str(error)) from None


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
    """Settings that a service keeps although every instance has known for a while what the site
    gives: an argument in its own code is stronger."""
    since = datetime.now(UTC) - _REPORTED_WITHIN
    known = [
        view.has_applied(each) and each.applied_at is not None and each.applied_at <= since
        for each in view.live
    ]
    return kept_by_service(view.policy, given) if known and all(known) else {}
