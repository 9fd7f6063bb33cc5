"""The long poll as the API's description tells it; CONTROL.md says what clients do with it."""

from __future__ import annotations

from typing import Any, Final

from breakers.control.gateway import DEFAULT_WAIT, LONGEST_WAIT, PATH

_SECTION: Final[dict[str, Any]] = {"type": "object", "additionalProperties": {"type": "object"}}
_DOCUMENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": [
        "version", "service", "breakers", "bulkheads", "toggles", "degraded", "isolated", "commands",
    ],
    "properties": {
        "version": {"type": "integer"},
        "service": {"type": "string"},
        "breakers": {**_SECTION, "description": "Name → override and policy"},
        "bulkheads": {**_SECTION, "description": "Name → policy"},
        "toggles": {**_SECTION, "description": "Key → value, for whom, until when"},
        "degraded": {**_SECTION, "description": "Service → level and notice"},
        "isolated": {**_SECTION, "description": "Failure domain → why, until when"},
        "commands": {"type": "array", "items": {"type": "object"}},
    },
}  # fmt: skip
_VERSION: Final[dict[str, Any]] = {
    "ETag": {"description": "The version, quoted", "schema": {"type": "string"}}
}


def _parameter(name: str, schema: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {"in": "query", "name": name, "schema": schema, "description": text, **more}


_CONTROL: Final[dict[str, Any]] = {
    "get": {
        "operationId": "control",
        "summary": "Control",
        "description": "The control document of a service, as soon as it is another one: a long "
        "poll. A service that was never seen is registered, and gets an empty document.",
        "tags": ["control"],
        "security": [{"ApiAuth": []}],
        "parameters": [
            _parameter("service", {"type": "string"}, "Its `service.name`", required=True),
            _parameter("instance", {"type": "string"}, "Its `service.instance.id`", required=True),
            _parameter(
                "wait",
                {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT, "default": DEFAULT_WAIT},
                "Seconds that the request may be kept while nothing changes",
            ),
            _parameter(
                "started",
                {"type": "number"},
                "When the process began, in seconds since the epoch; a restart is known by it",
            ),
            {
                "in": "header",
                "name": "If-None-Match",
                "schema": {"type": "string"},
                "description": "The version that is applied, quoted; it acknowledges that version",
            },
        ],
        "responses": {
            "200": {
                "description": "Another version",
                "headers": _VERSION,
                "content": {"application/json": {"schema": _DOCUMENT}},
            },
            "304": {"description": "Nothing has changed", "headers": _VERSION},
        },
    }
}
paths: Final = {PATH: _CONTROL}
