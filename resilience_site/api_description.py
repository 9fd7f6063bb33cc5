"""What the description of the API says beyond its operations: problems, and what is served beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ninja.openapi.schema import OpenAPISchema

from resilience_site.core.problems import MEDIA_TYPE

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


def complete(schema: OpenAPISchema, beside: Iterable[Mapping[str, Any]]) -> OpenAPISchema:
    """Add the paths that are served `beside` the API, and to every operation the answer that it
    gives where it fails."""
    for paths in beside:
        schema["paths"].update(paths)
    schema["components"]["schemas"]["Problem"] = _PROBLEM
    for path in schema["paths"].values():
        for method, operation in path.items():
            if method in _METHODS:
                operation["responses"].setdefault("default", _ANSWER)
    return schema
