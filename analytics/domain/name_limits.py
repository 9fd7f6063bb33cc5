"""What senders may name: as what that is counted for which there is no room, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OTHER_OPERATIONS: Final = "(other operations)"
OTHER_PEERS: Final = "(other peers)"
OTHER_TEMPLATES: Final = "(other)"
OTHER_VERSIONS: Final = "(other versions)"
OVERFLOW: Final = "otel.metric.overflow=true"
_MAX_SHOWN: Final = 200


def shown_name(name: str) -> str:
    """A name as one line, which forges none in a log, without the query of an address, which may
    hold secrets."""
    words = name.partition("?")[0].split()
    line = " ".join("".join(filter(str.isprintable, word)) for word in words)
    return line[:_MAX_SHOWN] or "(unnamed)"


@dataclass(frozen=True)
class NameLimit:
    """A kind of names, of which `variable` (or the code, where it is "") sets how many are kept
    apart of one service.

    `items` is what comes under such a name, `kept_as` the name of all further ones, `effect` what
    becomes of them, `advice` what their sender can do.
    """

    kind: str
    what: str
    items: str
    kept_as: str
    effect: str
    advice: str
    variable: str = ""


_ALL: Final = (
    NameLimit(
        "service", "services", "items", "(other services)",
        "stored as of one service, with the service in the instance",
        "send a fixed service.name, and what varies, such as a pod, as service.instance.id",
    ),
    NameLimit(
        "pattern", "patterns of errors", "errors", "(other patterns)",
        "stored like any other, as members of one pattern",
        "send what varies as attributes, not in exception types and messages",
    ),
    NameLimit(
        "operation", "operations", "spans", OTHER_OPERATIONS,
        "stored, and counted as one operation; the service's totals are whole",
        "name spans by their route (GET /plans/{id}), not by their arguments",
        "RESILIENCE_MAX_OPERATIONS",
    ),
    NameLimit(
        "peer", "addresses that it calls", "calls", OTHER_PEERS,
        "counted as calls of one address; calls between services that send spans are not touched",
        "send a name for all of its addresses as peer.service",
        "RESILIENCE_MAX_PEERS",
    ),
    NameLimit(
        "template", "log templates", "log records", OTHER_TEMPLATES,
        "counted as one template; records of a trace are kept with their text",
        "log what varies as attributes, not in the message",
        "RESILIENCE_MAX_LOG_TEMPLATES",
    ),
    NameLimit(
        "series", "metric series", "points", OVERFLOW,
        "added up in one series of each metric",
        "send attributes with fewer distinct values",
        "RESILIENCE_MAX_METRIC_SERIES",
    ),
    NameLimit(
        "stream", "running totals of metrics", "points", "their series",
        "counted as points; by how much these totals grew is not known",
        "send deltas instead of running totals, or a service.instance.id that stays",
        "RESILIENCE_MAX_METRIC_STREAMS",
    ),
    NameLimit(
        "version", "versions", "items", OTHER_VERSIONS,
        "stored like any other, and shown as one version",
        "send what is released as service.version, not a build or a start",
        "RESILIENCE_MAX_VERSIONS",
    ),
)  # fmt: skip
NAME_LIMITS: Final = {limit.kind: limit for limit in _ALL}
