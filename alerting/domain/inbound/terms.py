"""Another system's alerts in the terms of this site: severity, service, labels, texts."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Final

from alerting.domain.alerts import labels_fingerprint
from alerting.domain.inbound.names import (
    DETAILS,
    RUNBOOKS,
    SERVICE_LABELS,
    SERVICE_SAID,
    SEVERITY_LABELS,
    SUMMARIES,
)
from alerting.domain.inbound.posts import PostedAlert, cut, whole_link
from alerting.domain.pipeline import INCIDENT

# What senders call their severities; a name that stands nowhere here is a ticket, so that nobody is
# woken by a word that this site does not know, and nothing is overlooked.
_SEVERITIES: Final = {
    "page": ("page", "critical", "crit", "emergency", "fatal", "disaster", "p1", "sev1"),
    "info": ("info", "informational", "information", "notice", "none", "debug", "low", "p5"),
}
_BY_NAME: Final = {name: ours for ours, names in _SEVERITIES.items() for name in names}
_UNKNOWN: Final = "ticket"

_LONGEST_SUMMARY: Final = 500
_LONGEST_NAME: Final = 200
_LONGEST_SERVICE: Final = 255
_LONGEST_URL: Final = 500


def severity_of(labels: Mapping[str, str]) -> str:
    """page, ticket or info, by the label `severity` or `priority`."""
    said = next((labels[name] for name in SEVERITY_LABELS if labels.get(name)), "")
    return _BY_NAME.get(said.strip().lower(), _UNKNOWN)


def service_names(labels: Mapping[str, str]) -> Iterator[str]:
    """The names under which its service may stand in the catalogue, the surest first.

    A `job` may be `namespace/name`, as OpenTelemetry and the Prometheus operator write it.
    """
    for label in SERVICE_LABELS:
        value = labels.get(label, "").strip()
        if value:
            yield value
            if "/" in value:
                yield value.rpartition("/")[2]


def service_of(labels: Mapping[str, str], catalogue: Container[str]) -> str:
    """The service of the catalogue that the labels name, else one that they say outright to be their
    service; empty where they do neither. This makes it no service of the catalogue."""
    known = next((name for name in service_names(labels) if name in catalogue), "")
    said = (labels.get(label, "").strip() for label in SERVICE_SAID)
    return known or cut(next(filter(None, said), ""), _LONGEST_SERVICE)


def rule_name_of(labels: Mapping[str, str]) -> str:
    """The sender's name of the rule; Grafana puts that of a rule without data in another label."""
    name = labels.get("rulename") if labels.get("alertname", "").startswith("Datasource") else ""
    return cut(name or labels.get("alertname", "") or "unnamed", _LONGEST_NAME)


def sender_key(source: str, labels: Mapping[str, str]) -> str:
    """What is the same in all posts about one alert of a sender, whatever becomes of its labels."""
    return labels_fingerprint({**labels, "\0source": source})


def labels_here(
    posted: Mapping[str, str], *, source: str, severity: str, service: str
) -> dict[str, str]:
    """The sender's labels with ours, by which routes and silences go; of a label that says
    something else at the sender, such as an incident of its own, that stands beside it as
    `NAME_sent`."""
    ours = {
        "alertname": posted.get("alertname") or "unnamed",
        "severity": severity,
        "source": source,
        **({"service": service} if service else {}),
    }
    sent = {
        f"{name}_sent": posted[name]
        for name, value in ours.items()
        if posted.get(name, value) != value
    }
    named = {**posted, **sent, **ours}
    if INCIDENT in named:
        named[f"{INCIDENT}_sent"] = named.pop(INCIDENT)
    return named


def texts_of(alert: PostedAlert) -> dict[str, str]:
    """`summary`, `details` and `runbook_url` of an alert."""
    said = alert.annotations
    summary = next((said[name] for name in SUMMARIES if said.get(name)), "")
    details = next((said[name] for name in DETAILS if said.get(name)), "")
    runbook = next((whole_link(said[name]) for name in RUNBOOKS if said.get(name)), "")
    return {
        "summary": cut(summary or rule_name_of(alert.labels), _LONGEST_SUMMARY),
        "details": "" if details == summary else details,
        "runbook_url": runbook if len(runbook) <= _LONGEST_URL else "",
    }
