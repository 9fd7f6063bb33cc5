"""Findings as `application/health+json` (draft-inadarei-api-health-check-06)."""

from __future__ import annotations

import functools
import tomllib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.conf import settings
from django.urls import reverse

from resilience_site.core.formatting import machine
from resilience_site.probes.checks import PASS, Outcome

SERVICE_ID: Final = "resilience-site"
# That of the API, which changes when clients must.
VERSION: Final = "1"
DESCRIPTION: Final = "Resilience control plane"
_MOST_OUTPUTS: Final = 5


@functools.cache
def release() -> str:
    """The release of this code, as its project file says."""
    text = (settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def health_document(
    status: str,
    outcomes: Sequence[Outcome],
    groups: Sequence[str],
    absolute: Callable[[str], str],
) -> dict[str, Any]:
    """The whole answer; `absolute` makes an address of a path."""
    ill = [each for each in outcomes if each.status != PASS]
    document: dict[str, Any] = {
        "status": status,
        "version": VERSION,
        "releaseId": release(),
        "serviceId": SERVICE_ID,
        "description": DESCRIPTION,
        "notes": [
            f"Groups: {', '.join(groups)}",
            f"{len(outcomes) - len(ill)} of {len(outcomes)} checks pass",
        ],
        "links": {
            "self": absolute(reverse("healthz")),
            "about": absolute(reverse("overview")),
            "status": absolute(reverse("status")),
        },
        "checks": _checks(outcomes, absolute),
    }
    if ill:
        document["output"] = "; ".join(_sentence(each) for each in ill[:_MOST_OUTPUTS])
    return document


def _sentence(outcome: Outcome) -> str:
    return f"{outcome.component}: {outcome.output or outcome.status}"


def _checks(
    outcomes: Sequence[Outcome], absolute: Callable[[str], str]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in outcomes:
        found[each.name].append(_check(each, absolute))
    return found


def _check(outcome: Outcome, absolute: Callable[[str], str]) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "componentId": outcome.component,
        "componentType": outcome.kind,
        "status": outcome.status,
        "time": machine(outcome.at),
    }
    if outcome.value is not None:
        detail["observedValue"] = outcome.value
    if outcome.unit:
        detail["observedUnit"] = outcome.unit
    if outcome.output:
        detail["output"] = outcome.output
    if outcome.affected:
        detail["affectedEndpoints"] = list(outcome.affected)
    if outcome.about:
        detail["links"] = {"about": absolute(outcome.about)}
    return detail
