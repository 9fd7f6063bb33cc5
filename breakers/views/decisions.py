"""How decisions about toggles and degraded modes are told: their history, and both sides of a
conflict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.http import HttpRequest

from breakers.views.forms import expiry_given
from resilience_site.core.formatting import exact
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Invalid

# What a form offers beside the expiries that a role may set.
NO_END: Final = ("", "No end")
_REFUSED: Final = ".refused"


def end_given(request: HttpRequest) -> int | None:
    """The seconds that a decision holds; None for one without an end. Raises `Invalid` where the
    form says neither."""
    text = request.POST.get("expires_in")
    if text == NO_END[0]:
        return None
    seconds = expiry_given(request)
    if seconds is None:
        raise Invalid.field("body.expires_in", "Choose when it ends.")
    return seconds


@dataclass(frozen=True)
class Decided:
    """An entry of the audit trail: what was done, or refused."""

    action: str
    refused: bool
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def decided(entry: AuditEntry) -> Decided:
    """What an entry tells."""
    refused = entry.action.endswith(_REFUSED)
    action = entry.action.removesuffix(_REFUSED)
    return Decided(action, refused, entry.before or {}, entry.after or {})


def json_text(value: Any) -> str:
    """A value as services are told it."""
    return orjson.dumps(value).decode()


def rows_of(side: Mapping[str, Any]) -> dict[str, str]:
    """One side of a conflict as names and texts; what is not stated is left out."""
    return {
        name.replace("_", " ").capitalize(): _text(value)
        for name, value in side.items()
        if value not in (None, "", [])
    }


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return exact(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json_text(value)
