"""The numbers of a rule's condition as fields of its form, beside the condition as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from alerting.domain.rules.conditions import Wrong, condition_read
from alerting.domain.rules.numbers import Number, condition_numbers, number_set
from resilience_site.core.problems import Invalid

_SENT: Final = "number."
_SHOWN: Final = "shown."
_MOST_CHARACTERS: Final = 30
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")


@dataclass(frozen=True)
class NumberField:
    """A number in the form: `text` as it is sent, `shown` as it stood in the form before."""

    path: str
    label: str
    text: str
    shown: str
    whole: bool
    optional: bool

    @property
    def changed(self) -> bool:
        return self.text.strip() != self.shown.strip()


def number_fields(condition: str, before: Any, sent: QueryDict | None = None) -> list[NumberField]:
    """The fields of a condition, given as JSON, or of the one `before` where that cannot be read.

    What was typed into them stays typed.
    """
    numbers = _numbers(_read(condition)) or _numbers(before)
    return [_field(each, sent) for each in numbers]


def numbers_applied(condition: Any, fields: list[NumberField]) -> Any:
    """The condition with what was typed. Raises `Invalid` for no number, and where the JSON was
    changed at the same place."""
    stand = {each.path: _text(each.value) for each in _numbers(condition)}
    for field in fields:
        if not field.changed:
            continue
        name = f"condition.{field.path}"
        value = _value(field, name)
        if stand.get(field.path) not in (field.shown, _text(value)):
            now = stand.get(field.path) or "nothing"
            told = f"It is {field.text} in its field and {now} in the JSON. Change one of them."
            raise Invalid.field(name, told)
        condition = number_set(condition, field.path, value)
    return condition


def _field(number: Number, sent: QueryDict | None) -> NumberField:
    stands = _text(number.value)
    text = shown = stands
    if sent is not None:
        typed = sent.get(_SENT + number.path, stands).replace("\0", "")[:_MOST_CHARACTERS]
        before = sent.get(_SHOWN + number.path, stands)[:_MOST_CHARACTERS]
        if typed.strip() != before.strip():
            text, shown = typed, before
    return NumberField(number.path, number.label, text, shown, number.whole, number.optional)


def _value(field: NumberField, name: str) -> float | None:
    text = field.text.strip()
    if not text and field.optional:
        return None
    found = _NUMBER.fullmatch(text)
    if found is None or (field.whole and found[1]):
        kind = "a whole number" if field.whole else "a number such as 0.05"
        raise Invalid.field(name, f"Give {kind}.")
    return float(text) if found[1] else int(text)


def _numbers(condition: Any) -> list[Number]:
    try:
        return condition_numbers(condition_read(condition))
    except Wrong:
        return []


def _read(condition: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(condition)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
