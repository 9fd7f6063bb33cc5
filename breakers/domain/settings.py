"""Settings of breakers and bulkheads as texts: typed in, told before and after a change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from breakers.domain.policy import BREAKERS, PolicyError, Setting, Tunable

NONE: Final = "none"
OWN: Final = "the service's own"
_MOST: Final = 40


class Difference(NamedTuple):
    """A setting before and after a change."""

    label: str
    unit: str
    before: str
    after: str


def settings_read(texts: Mapping[str, str], kind: Tunable = BREAKERS) -> dict[str, Any]:
    """The settings in texts by field; those of other names are left out, and empty ones give none.

    Raises `PolicyError` for a text that is no value.
    """
    given: dict[str, Any] = {}
    for name, setting in kind.settings.items():
        text = texts.get(name, "").replace("\0", "").strip()[:_MOST]
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
        raise PolicyError(name, f"{setting.label}: {text!r} is no number{optional}.")
    return int(number) if number == int(number) else number


def differences(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reported: Mapping[str, Any] | None,
    kind: Tunable = BREAKERS,
) -> list[Difference]:
    """What changes when the site gives `after` in place of `before`."""
    known = reported or {}
    return [
        Difference(
            setting.label,
            setting.unit,
            _told(before, name, known),
            # What is no longer given goes back to what the service itself has, which only it knows.
            text_of(after, name) or OWN,
        )
        for name, setting in kind.settings.items()
        if (name in before, before.get(name)) != (name in after, after.get(name))
    ]


def _told(before: Mapping[str, Any], name: str, reported: Mapping[str, Any]) -> str:
    if name in before:
        return text_of(before, name)
    return f"{text_of(reported, name)} ({OWN})" if name in reported else OWN


def text_of(policy: Mapping[str, Any], name: str) -> str:
    """A setting as text; empty where it is not there."""
    if name not in policy:
        return ""
    value = policy[name]
    if value is None:
        return NONE
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_words(policy: Mapping[str, Any], kind: Tunable = BREAKERS) -> str:
    """`calls at once 5, longest wait none`; empty for no settings."""
    return ", ".join(
        f"{setting.label.lower()} {text_of(policy, name)}"
        for name, setting in kind.settings.items()
        if name in policy
    )
