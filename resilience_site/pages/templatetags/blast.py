"""Who is affected by what a page of the stock admin is about to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import template

from breakers.services.targets import Target
from resilience_site.pages.breakers import radii

register = template.Library()
# What a long selection adds says little more.
_MOST_PLACES = 20


@register.inclusion_tag("pages/_blast_list.html")
def blast_list(affected: Sequence[tuple[str, Sequence[Target]]] | None) -> dict[str, Any]:
    """By what a form offers, the places that it would mean, each with its callers and calls."""
    groups = [(label, targets) for label, targets in affected or () if targets]
    told = [target for _, targets in groups for target in targets[:_MOST_PLACES]]
    known = radii(told, datetime.now(UTC)) if told else {}
    return {
        "groups": [
            {
                "label": label,
                "places": [known[target] for target in targets[:_MOST_PLACES]],
                "more": max(0, len(targets) - _MOST_PLACES),
            }
            for label, targets in groups
        ]
    }
