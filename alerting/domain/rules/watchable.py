"""What rules can watch, told to whoever writes one: made of what rules are checked against."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from alerting.domain.rules.catalogue import SAMPLES, Sample
from alerting.domain.rules.checking import BURN_FACTS, FIGURE_FACTS, examples
from alerting.domain.rules.conditions import (
    Baseline,
    BurnCondition,
    Ending,
    EventCondition,
    FigureCondition,
    SilentCondition,
    Where,
    condition_read,
)
from alerting.domain.rules.facts import event_facts
from alerting.domain.rules.fields import PLAIN, Entry, field_value

_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)

# Conditions to begin with, as people write them.
EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "event": {
        "type": "event",
        "topic": "breakers",
        "kinds": ["breaker.transition"],
        "where": [{"field": "state", "op": "=", "value": "open"}],
        "labels": {"breaker": "payload.name"},
        "count": 3,
        "within_seconds": 600,
    },
    "silent": {
        "type": "silent",
        "topic": "ingest",
        "kinds": ["key.heard"],
        "labels": {"key": "payload.name"},
        "silent_seconds": 900,
    },
    "figure": {
        "type": "figure",
        "metric": "error_rate",
        "window_seconds": 300,
        "op": ">=",
        "threshold": 0.05,
        "minimum": 20,
        "baseline": {"ratio": 3, "days": 7},
    },
    "burn": {"type": "burn", "long_seconds": 3600},
}
# Facts that only some alerts have, which texts ask for with `if`.
_ONLY: Final = {
    "window_seconds": "of silent, and of event with count above 1",
    "members": "of event with members",
    "last_heard": "of silent",
}


class FieldTold(NamedTuple):
    """A field of entries: how conditions and how texts name it, and a value as JSON."""

    path: str
    in_texts: str
    example: str


class EntriesTold(NamedTuple):
    """Kinds of entries that hold the same fields."""

    kinds: tuple[str, ...]
    fields: list[FieldTold]


class PartTold(NamedTuple):
    """A field of a condition; `default` is empty where it must be given."""

    name: str
    text: str
    default: str
    bounds: str


class FormTold(NamedTuple):
    """A type of condition, or what stands within one, with an example where it stands alone."""

    name: str
    text: str
    parts: list[PartTold]
    example: str


def topics_told() -> dict[str, list[EntriesTold]]:
    """By topic the kinds of its entries, with the fields that conditions and texts can name."""
    return {
        topic: [EntriesTold(each.kinds, _fields(topic, each)) for each in samples]
        for topic, samples in SAMPLES.items()
    }


def forms_told() -> list[FormTold]:
    """The types of conditions and what stands within them, field by field."""
    forms: tuple[tuple[str, type[BaseModel]], ...] = (
        ("event", EventCondition),
        ("silent", SilentCondition),
        ("figure", FigureCondition),
        ("burn", BurnCondition),
        ("where", Where),
        ("resolved_by", Ending),
        ("baseline", Baseline),
    )
    return [_form(name, model) for name, model in forms]


def facts_told() -> dict[str, list[tuple[str, str, str]]]:
    """What texts can name besides fields of entries: by type of condition, with examples and, for
    what only some have, which."""
    ((_, facts),) = examples(condition_read(EXAMPLES["event"]))
    payload = SAMPLES["breakers"][0].payload
    own = {name: each for name, each in facts.items() if name not in payload}
    told = {"event and silent": own, "figure": FIGURE_FACTS, "burn": BURN_FACTS}
    return {
        name: [
            (f"facts.{key}", _json(each), _ONLY.get(key, "") if found is own else "")
            for key, each in found.items()
        ]
        for name, found in told.items()
    }


def _fields(topic: str, sample: Sample) -> list[FieldTold]:
    entry = Entry(
        1, _AT, topic, sample.kinds[0], sample.key, sample.state, sample.service, sample.payload
    )
    # What a text finds under such a name is the entry's own, not the payload's.
    own = event_facts(Entry(1, _AT, topic, sample.kinds[0], sample.key), 1, None)
    plain = [
        FieldTold(name, _plain_in_texts(name), _json(value))
        for name in PLAIN
        if (value := field_value(entry, name))
    ]
    paths = [
        FieldTold(f"payload.{path}", _in_texts(path, own), _json(value))
        for path, value in _leaves(sample.payload)
    ]
    return plain + paths


def _plain_in_texts(name: str) -> str:
    return "labels.service" if name == "service" else f"facts.{name}"


def _in_texts(path: str, own: Mapping[str, Any]) -> str:
    if path == "kind":
        return "facts.of_kind"
    return "" if path in own else f"facts.{path}"


def _leaves(payload: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in payload.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _form(name: str, model: type[BaseModel]) -> FormTold:
    schema = model.model_json_schema()
    needed = schema.get("required", [])
    parts = [
        PartTold(
            key,
            str(each.get("description", "")).partition(" By topic")[0],
            "" if key in needed else _json(each.get("default")),
            _bounds(each),
        )
        for key, each in schema["properties"].items()
        if key != "type"
    ]
    text = inspect.cleandoc(model.__doc__ or "").replace("`", "")
    example = json.dumps(EXAMPLES[name], indent=2) if name in EXAMPLES else ""
    return FormTold(name, text, parts, example)


def _bounds(schema: Mapping[str, Any]) -> str:
    """Which values there can be, of the first form that a value can have."""
    found = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    if "enum" in found:
        return f"one of {', '.join(map(str, found['enum']))}"
    for least, most, words in (
        ("minimum", "maximum", ""),
        ("minItems", "maxItems", " of them"),
        ("minProperties", "maxProperties", " of them"),
    ):
        if least in found and most in found:
            return f"{found[least]:,} to {found[most]:,}{words}"
        if most in found:
            above = "exclusiveMinimum" in found
            return f"{'above 0, ' if above else ''}at most {found[most]:,}{words}"
        if least in found:
            return f"at least {found[least]:,}{words}"
    return ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
