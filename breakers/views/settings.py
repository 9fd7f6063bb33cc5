"""The settings that the site gives breakers and bulkheads, as screens show and take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from django.http import QueryDict

from breakers.domain.policy import BREAKERS, PolicyError, Setting, Tunable, kept_by_service
from breakers.domain.settings import Difference, differences, settings_read, text_of
from breakers.models import PolicyChange
from resilience_site.core.problems import Invalid

# An instance acknowledges a document first, and reports what it works by a moment later.
_REPORTED_WITHIN: Final = timedelta(seconds=10)


class Tuned(Protocol):
    """A breaker or bulkhead: what it reports, and how far the control document has come."""

    @property
    def service(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int | None: ...
    @property
    def policy(self) -> Mapping[str, Any] | None: ...
    @property
    def acknowledged(self) -> list[datetime | None]: ...


@dataclass(frozen=True, slots=True)
class Field:
    """A setting in the form: what the site gives as text, and what the service reports."""

    name: str
    setting: Setting
    given: str
    reported: str
    kept: str


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting: what the service reports, what the site gives, and whether that is ignored."""

    label: str
    unit: str
    reported: str
    given: str
    kept: bool


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change of the settings, and what it changed."""

    change: PolicyChange
    differences: list[Difference]
    current: bool


def settings_in(form: QueryDict, kind: Tunable = BREAKERS) -> dict[str, Any]:
    """The settings in a form; empty fields give none. Raises `Invalid`."""
    try:
        return settings_read(form, kind)
    except PolicyError as error:
        raise Invalid.field(error.field, str(error)) from None


def fields(
    view: Tuned, given: Mapping[str, Any], form: QueryDict | None = None, kind: Tunable = BREAKERS
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
        for name, setting in kind.settings.items()
    ]


def policy_panel(
    view: Tuned,
    given: Mapping[str, Any],
    changes: Sequence[PolicyChange],
    kind: Tunable = BREAKERS,
) -> dict[str, Any]:
    """What the panel of the settings shows: all of them, and how they came to be."""
    kept, reported = kept_fields(view, given), view.policy or {}
    rows = [
        SettingRow(
            setting.label,
            setting.unit,
            text_of(reported, name),
            text_of(given, name),
            name in kept,
        )
        for name, setting in kind.settings.items()
    ]
    history = [
        ChangeRow(row, differences(row.before, row.policy, None, kind), number == 0)
        for number, row in enumerate(changes)
    ]
    return {"settings": rows, "kept": bool(kept), "changes": history}


def kept_fields(view: Tuned, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a service keeps although every instance has known for a while what the site
    gives: an argument in its own code is stronger."""
    since = datetime.now(UTC) - _REPORTED_WITHIN
    known = [at is not None and at <= since for at in view.acknowledged]
    return kept_by_service(view.policy, given) if known and all(known) else {}
