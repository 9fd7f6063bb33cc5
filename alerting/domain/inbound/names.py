"""Names of labels and annotations by which other systems say what an alert is, the surest first."""

from __future__ import annotations

from typing import Final

# Labels that may name a service of the catalogue.
SERVICE_LABELS: Final = (
    "service", "service_name", "service.name", "app", "app_kubernetes_io_name",
    "app.kubernetes.io/name", "application", "job", "deployment", "container",
)  # fmt: skip
# Those that can mean nothing else. A job, a container or an app may be any program.
SERVICE_SAID: Final = SERVICE_LABELS[:3]
SEVERITY_LABELS: Final = ("severity", "priority")
RULE_LABELS: Final = ("alertname", "rulename")
# Where it is, which tells alerts of one rule apart.
_PLACE_LABELS: Final = ("cluster", "namespace", "instance", "pod", "node", "grafana_folder")

SUMMARIES: Final = ("summary", "title", "message", "description")
DETAILS: Final = ("description", "message", "details")
RUNBOOKS: Final = ("runbook_url", "runbook")

# Those that are kept before all others, where there are too many.
LABELS_FIRST: Final = (*RULE_LABELS, *SEVERITY_LABELS, *SERVICE_LABELS, *_PLACE_LABELS)
ANNOTATIONS_FIRST: Final = tuple(dict.fromkeys((*SUMMARIES, *DETAILS, *RUNBOOKS)))
