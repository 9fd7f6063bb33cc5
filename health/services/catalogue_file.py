"""The catalogue as a file: services, checks and what depends on what, in YAML.

    services:
      - {name: planner, criticality: high, public_name: Planner, description: Plans of teams}
    checks:
      - name: pg
        kind: postgres
        service: planner
        target: {dsn: "${RESILIENCE_CHECK_PG}"}
        depends_on: [net]
    dependencies:
      - {child: "service:web", parent: "service:planner", hard: false}

What a check leaves out is the default. Names may also be keys: `services: {planner: {…}}`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from health.choices import Criticality
from health.services.catalogue_yaml import yaml_read
from health.services.check_fields import (
    FIELDS,
    check_name_read,
    flag_read,
    name_read,
    text_read,
)
from health.services.checks import check_create
from resilience_site.core.problems import FieldError, Invalid

MOST_BYTES: Final = 1_048_576
# Aliases make a short file a long one.
_MOST_VALUES: Final = 200_000
_SECTIONS: Final = ("services", "checks", "dependencies")
_SERVICE: Final = ("name", "criticality", "public_name", "description")
_EDGE: Final = ("child", "parent", "hard", "reason")
# What a check is where the file is silent: the same as anywhere else.
_DEFAULTS: Final = {
    name: parameter.default
    for name, parameter in inspect.signature(check_create).parameters.items()
    if name in FIELDS and parameter.default is not inspect.Parameter.empty
}
_MOST_PUBLIC_NAME: Final = 100
_MOST_REASON: Final = 1_000


@dataclass(frozen=True)
class Entry:
    """One entry of the file; `path` is where it stands, as in `checks[2]`."""

    path: str
    values: Mapping[str, Any]


@dataclass
class Catalogue:
    """What a file says. Each of its parts is read; the options of targets are not judged yet."""

    services: list[Entry] = field(default_factory=list)
    checks: list[Entry] = field(default_factory=list)
    edges: list[Entry] = field(default_factory=list)


class Faults:
    """What is wrong with a file, each with its path."""

    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def add(self, path: str, message: str) -> None:
        self.found.append(FieldError(path, message))

    def take(self, path: str, problem: Invalid) -> None:
        """Take over what was refused in the entry at `path`."""
        for each in problem.errors or (FieldError("", problem.detail),):
            self.add(f"{path}.{each.field}" if each.field else path, each.message)

    def stop(self) -> None:
        """Raise `Invalid` if anything is wrong."""
        if self.found:
            count = len(self.found)
            raise Invalid(
                f"The file has {count} {'fault' if count == 1 else 'faults'}; nothing was applied.",
                self.found,
            )


def catalogue_parse(text: str) -> Any:
    """The document of a file's text. Raises `Invalid` that says where it cannot be read."""
    if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise Invalid.field("", f"A catalogue has at most {MOST_BYTES} bytes.")
    try:
        document = yaml_read(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise Invalid.field(where, f"This is no YAML: {error.problem}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid.field("", f"This is no YAML: {error}.") from None
    _bounded(document)
    return document


def _bounded(document: Any) -> None:
    todo, seen = [document], 0
    while todo:
        value = todo.pop()
        seen += 1
        if seen > _MOST_VALUES:
            raise Invalid.field("", f"A catalogue has at most {_MOST_VALUES} values.")
        if isinstance(value, Mapping):
            todo += value.values()
        elif isinstance(value, list):
            todo += value


def catalogue_read(document: Any) -> Catalogue:
    """The entries of a document. Raises `Invalid` with every fault and its path."""
    faults, catalogue = Faults(), Catalogue()
    if document is None:
        return catalogue
    if not isinstance(document, Mapping):
        raise Invalid.field("", f"The file must be a mapping of {', '.join(_SECTIONS)}.")
    for key in document:
        if key not in _SECTIONS:
            faults.add(str(key), f"is unknown; known are {', '.join(_SECTIONS)}.")
    for entry in _entries("services", document.get("services"), faults, named=True):
        _collect(catalogue.services, entry, _service, faults)
    for entry in _entries("checks", document.get("checks"), faults, named=True):
        _collect(catalogue.checks, entry, _check, faults)
    for entry in _entries("dependencies", document.get("dependencies"), faults, named=False):
        _collect(catalogue.edges, entry, _edge, faults)
    _once(catalogue.services, faults)
    _once(catalogue.checks, faults)
    faults.stop()
    return catalogue


def _entries(section: str, given: Any, faults: Faults, *, named: bool) -> Iterator[Entry]:
    if given is None:
        return
    if named and isinstance(given, Mapping):
        items = [(f"{section}.{key}", key, values) for key, values in given.items()]
    elif isinstance(given, list):
        items = [(f"{section}[{place}]", None, values) for place, values in enumerate(given)]
    else:
        faults.add(section, "must be a list.")
        return
    for path, key, values in items:
        values = {} if values is None and key is not None else values
        if not isinstance(values, Mapping):
            faults.add(path, "must be a mapping.")
        elif key is not None:
            yield Entry(path, {"name": key, **values})
        else:
            yield Entry(path, values)


def _collect(into: list[Entry], entry: Entry, read: Any, faults: Faults) -> None:
    try:
        into.append(Entry(entry.path, read(entry.values)))
    except Invalid as problem:
        faults.take(entry.path, problem)


def _known(values: Mapping[str, Any], names: Sequence[str], needed: Sequence[str]) -> None:
    for key in values:
        if key not in names:
            raise Invalid.field(str(key), f"is unknown; known are {', '.join(names)}.")
    for key in needed:
        if key not in values:
            raise Invalid.field(key, "is required.")


def _service(values: Mapping[str, Any]) -> dict[str, Any]:
    _known(values, _SERVICE, ["name"])
    read = {"name": name_read("name", values["name"])}
    if "criticality" in values:
        read["criticality"] = values["criticality"]
        if values["criticality"] not in Criticality.values:
            known = ", ".join(each for each in Criticality.values if each)
            raise Invalid.field("criticality", f"must be one of {known}.")
    if "public_name" in values:
        read["public_name"] = text_read("public_name", values["public_name"], _MOST_PUBLIC_NAME)
    if "description" in values:
        read["description"] = text_read("description", values["description"])
    return read


def _check(values: Mapping[str, Any]) -> dict[str, Any]:
    """A whole check: what is left out is the default, so that a line that is taken out of the file
    is taken back as well."""
    known = [*FIELDS, "kind", "target", "depends_on", "hard"]
    _known(values, known, ["name", "kind", "service", "target"])
    check_name_read("name", values["name"])
    depends_on = values.get("depends_on")
    if not isinstance(depends_on, list | None):
        raise Invalid.field("depends_on", "must be a list of names.")
    return {
        **_DEFAULTS,
        **values,
        "depends_on": depends_on or [],
        "hard": flag_read("hard", values.get("hard", True)),
    }


def _edge(values: Mapping[str, Any]) -> dict[str, Any]:
    _known(values, _EDGE, ["child", "parent"])
    return {
        "child": values["child"],
        "parent": values["parent"],
        "hard": flag_read("hard", values.get("hard", True)),
        "reason": text_read("reason", values.get("reason", ""), _MOST_REASON),
    }


def _once(entries: Sequence[Entry], faults: Faults) -> None:
    first: dict[Any, str] = {}
    for entry in entries:
        name = str(entry.values["name"])
        if name in first:
            faults.add(f"{entry.path}.name", f"{name!r} stands at {first[name]} already.")
        first.setdefault(name, entry.path)
