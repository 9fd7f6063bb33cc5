"""The description of the API: each form under a name of its own, and what is said beyond the
operations: how to ask, problems, and what is served beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from pydantic.json_schema import JsonSchemaMode

from resilience_site.core.problems import MEDIA_TYPE

ABOUT: Final = """\
The resilience control plane: what goes wrong in a fleet of services, why, what is foreseen, and what
is done about it. Services post telemetry as OTLP to `/v1/traces`, `/v1/logs` and `/v1/metrics`; all
else is here.

**Keys.** Send one as `Authorization: Bearer KEY`; the settings of the site make them, as does
`POST /api/v1/keys`. Scopes: `read`; `operate`, which may write, too; `admin`, which may make keys;
`ingest`, which may post telemetry and poll `control`, and nothing else. A session of the site does
as well: a viewer reads, an operator operates; its writes need the CSRF token.

**Lists** are `{"items": [...], "next_cursor": ...}`; `cursor` asks for the page after, and
`next_cursor` is null on the last one. Times are RFC 3339 in UTC; where a range is asked for, `24h` or
`now-1h` do as well.

**Errors** are `application/problem+json` (RFC 9457). `detail` is a sentence for people. Of 422,
`errors` names each field that is wrong, such as `body.ends_in` or `query.limit`. A parameter that
there is not is refused as well, and by most writes a field: it is misspelt, most likely. After 503
come back when `Retry-After` says.

**Versions.** Where an answer has an `ETag`, a write may send it as `If-Match`: if somebody else has
changed the object meanwhile, the answer is 409 with both sides. Without it the last write wins.
"""

# Where an operation may end in something that its own answers do not tell.
_PROBLEM: Final[Mapping[str, Any]] = {
    "title": "Problem",
    "description": "An error as RFC 9457 has it. 400: the request cannot be read; 401: no key or "
    "session that can be used; 403: known, but not allowed; 404: no such object; 409: the version "
    "named in If-Match is stale; 422: readable, but a field says something impossible; 503: a part "
    "of the site does not answer, come back after Retry-After.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The phrase of the status"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for the caller"},
        "instance": {"type": "string", "description": "The path that was asked"},
        "errors": {
            "type": "array",
            "description": "Of 422: the fields that are wrong",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "allowed": {"description": "Of 404, sometimes: the names that there are"},
        "current": {"type": "object", "description": "Of 409: what stands"},
        "proposed": {"type": "object", "description": "Of 409: what was sent"},
    },
}
_ANSWER: Final[Mapping[str, Any]] = {
    "description": "An error",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})
_FORMS: Final = "#/components/schemas/"


class Description(OpenAPISchema):
    """Forms of one name that are not the same, as of two apps, are told under two names: the first
    keeps its own, the others have that of their app before it."""

    def __init__(self, api: NinjaAPI, path_prefix: str) -> None:
        self._app = ""
        # By the name of a class: each of its forms, and the name that this has here.
        self._named: dict[str, list[tuple[Any, str]]] = {}
        self._moved: dict[str, str] = {}
        super().__init__(api, path_prefix)

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        self._app = operation.view_func.__module__.partition(".")[0]
        return super().operation_details(operation)

    def add_schema_definitions(self, definitions: dict[str, Any]) -> None:
        names = {name: self._name_of(name, _whole(name, definitions)) for name in definitions}
        self._moved = {
            _FORMS + name: _FORMS + given for name, given in names.items() if given != name
        }
        super().add_schema_definitions(
            {names[name]: _moved(form, self._moved) for name, form in definitions.items()}
        )

    def _extract_parameters(self, model: Any) -> list[dict[str, Any]]:
        self._moved = {}
        parameters = super()._extract_parameters(model)
        return [_moved(each, self._moved) for each in parameters]

    def _create_schema_from_model(
        self,
        model: Any,
        by_alias: bool = True,
        remove_level: bool = True,
        mode: JsonSchemaMode = "validation",
    ) -> tuple[dict[str, Any], bool]:
        self._moved = {}
        form, required = super()._create_schema_from_model(model, by_alias, remove_level, mode)
        return _moved(form, self._moved), required

    def _name_of(self, name: str, form: Any) -> str:
        forms = self._named.setdefault(name, [])
        for known, given in forms:
            if known == form:
                return given
        taken = {given for each in self._named.values() for _, given in each}
        given = name
        while given in taken:
            given = f"{self._app.title().replace('_', '')}{given}"
        forms.append((form, given))
        return given


def _whole(name: str, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A form with all that it refers to, by their names: what makes it the same as another."""
    found: dict[str, Any] = {}
    left = [name]
    while left:
        each = left.pop()
        if each not in found and each in definitions:
            found[each] = definitions[each]
            left += _named(definitions[each])
    return found


def _named(form: Any) -> list[str]:
    """The names of the forms that a form refers to."""
    if isinstance(form, dict):
        return [name for each in form.values() for name in _named(each)]
    if isinstance(form, list):
        return [name for each in form for name in _named(each)]
    return [form.removeprefix(_FORMS)] if isinstance(form, str) and form.startswith(_FORMS) else []


def _moved(form: Any, names: Mapping[str, str]) -> Any:
    """`form` with its references to forms that have other `names` here."""
    if isinstance(form, dict):
        return {key: _moved(each, names) for key, each in form.items()}
    if isinstance(form, list):
        return [_moved(each, names) for each in form]
    return names.get(form, form) if isinstance(form, str) else form


def complete(schema: OpenAPISchema, beside: Iterable[Mapping[str, Any]]) -> OpenAPISchema:
    """Add the paths that are served `beside` the API, and to every operation the answer that it
    gives where it fails."""
    for paths in beside:
        schema["paths"].update(paths)
    schema["components"]["schemas"]["Problem"] = _PROBLEM
    for path in schema["paths"].values():
        operations = {method: path[method] for method in path if method in _METHODS}
        ids = Counter(each["operationId"] for each in operations.values())
        for method, operation in operations.items():
            path[method] = _completed(operation, schema["components"]["schemas"])
            if ids[operation["operationId"]] > 1:
                path[method]["operationId"] += f"_{method}"
    return schema


def _completed(operation: Mapping[str, Any], forms: Mapping[str, Any]) -> dict[str, Any]:
    """An operation with how it fails, and with its body marked as needed where it is."""
    made = {**operation, "responses": {"default": _ANSWER, **operation["responses"]}}
    if "requestBody" in made:
        made["requestBody"] = _needed(made["requestBody"], forms)
    return made


def _needed(body: Mapping[str, Any], forms: Mapping[str, Any]) -> Mapping[str, Any]:
    """A body that may be left out is needed after all where it has fields that are: without it, the
    service asks for them."""
    told = body["content"].get("application/json", {}).get("schema", {})
    named = [each["$ref"] for each in told.get("anyOf", ()) if "$ref" in each]
    if len(named) != 1 or not forms[named[0].removeprefix(_FORMS)].get("required"):
        return body
    return {"content": {"application/json": {"schema": {"$ref": named[0]}}}, "required": True}
