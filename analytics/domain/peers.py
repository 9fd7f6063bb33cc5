"""Whom a client span calls, by the semantic conventions of its attributes."""

from __future__ import annotations

from analytics.domain.telemetry import Attributes

_DATABASE = ("db.system.name", "db.system")
_NAMESPACE = ("db.namespace", "db.name")
_HOST = ("server.address", "net.peer.name", "http.host")
_PORT = ("server.port", "net.peer.port")
_MAX = 200


def _first(attributes: Attributes, keys: tuple[str, ...]) -> str:
    for key in keys:
        value = attributes.get(key)
        if value not in (None, ""):
            return str(value)
    return ""


def peer_of(attributes: Attributes) -> str:
    """The name of the called party, or "" where the span does not say.

    `peer.service` wins; a database is its system and namespace, a queue its system, anything
    else its host and port.
    """
    named = _first(attributes, ("peer.service", "service.peer.name"))
    if named:
        return named[:_MAX]
    database = _first(attributes, _DATABASE)
    if database:
        namespace = _first(attributes, _NAMESPACE)
        return (f"{database}/{namespace}" if namespace else database)[:_MAX]
    queue = _first(attributes, ("messaging.system",))
    if queue:
        return queue[:_MAX]
    host = _first(attributes, _HOST)
    port = _first(attributes, _PORT)
    return (f"{host}:{port}" if host and port else host)[:_MAX]
