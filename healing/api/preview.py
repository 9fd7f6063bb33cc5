"""What would heal now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from ninja import Router

from healing.schemas.preview import PreviewOut
from healing.services.preview import WouldHeal, WouldRun, preview
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest

router = Router(tags=["healing"])

_RUN: Final = (
    "workflow", "title", "mode", "target_kind", "target", "begins", "refused_by", "unable",
    "opportunity",
)  # fmt: skip
_FAILING: Final = ("kind", "key", "service", "since", "text", "link")


@router.get("/healing/preview", auth=ApiAuth(Scope.READ), response=PreviewOut)
def what_would_heal(request: ApiRequest) -> dict[str, Any]:
    """A dry run over all that fails now: it looks at the real targets, and changes nothing. It may
    take some seconds."""
    found = preview(now=datetime.now(UTC))
    return {
        "at": found.at,
        "items": [_failure(each) for each in found.failures],
        "left_off": found.left_off,
    }


def _failure(found: WouldHeal) -> dict[str, Any]:
    return {
        **{name: getattr(found.failing, name) for name in _FAILING},
        "answers": [_answer(each) for each in found.answers],
    }


def _answer(found: WouldRun) -> dict[str, Any]:
    return {
        **{name: getattr(found, name) for name in _RUN},
        "guardrails": [each.form() for each in found.verdicts],
        "steps": list(found.steps),
    }
