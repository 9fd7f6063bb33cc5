"""Secrets between two pages of a form: typed once, never shown again, and yet not lost.

What somebody typed goes back to their browser sealed, so that a form that was refused, or tried
out, can be sent again with the secrets masked. Only the same person can use it, and what came out
of a stored check still goes only where that check sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import HttpRequest

from resilience_site.core.sealing import UnsealError, seal, unseal

FIELD = "draft"


@dataclass(frozen=True)
class Draft:
    """`target` as it was sent, secrets included. `origin` is the stored target that some of them
    come from; None where all of them were typed."""

    target: Mapping[str, Any]
    origin: Mapping[str, Any] | None = None


def draft_seal(request: HttpRequest, kind: str, draft: Draft) -> str:
    """A draft for the hidden field of the next form."""
    told = {
        "user": request.user.pk,
        "kind": kind,
        "target": dict(draft.target),
        "origin": None if draft.origin is None else dict(draft.origin),
    }
    return seal(orjson.dumps(told).decode())


def draft_open(request: HttpRequest, kind: str) -> Draft | None:
    """What the form before was sent with; None where there was none, or it is not theirs."""
    sealed = request.POST.get(FIELD, "")
    if not sealed:
        return None
    try:
        told = orjson.loads(unseal(sealed))
    except (UnsealError, orjson.JSONDecodeError):
        return None
    # Something else that was sealed is no draft.
    if not isinstance(told, dict) or (told.get("user"), told.get("kind")) != (
        request.user.pk,
        kind,
    ):
        return None
    return Draft(told["target"], told["origin"])
