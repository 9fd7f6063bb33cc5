"""What would heal now: a dry run over the present state, told when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from healing.services.preview import Preview, StepEffect, WouldRun, preview
from healing.views.words import Verdict, guardrails, target_link
from resilience_site.core import journal
from resilience_site.core.choices import Role
from resilience_site.core.formatting import plural
from resilience_site.core.permissions import require_role
from resilience_site.core.screens import is_partial, may_operate

_TONES: Final = {"would": "info", "skipped": "", "cannot": "warn"}


@dataclass(frozen=True)
class AnswerRow:
    """A workflow that answers to a failure: whether it would begin, why not, and what it does."""

    found: WouldRun
    tone: str
    sentence: str
    guardrails: list[dict[str, object]]
    steps: list[tuple[StepEffect, str]]
    target_link: str


@never_cache
@require_GET
@require_role(Role.VIEWER)
def now(request: HttpRequest) -> HttpResponse:
    """The page comes at once; what would be done is pulled into it, as telling it asks targets."""
    context: dict[str, Any] = {
        "live_cursor": journal.latest_cursor(),
        "may_operate": may_operate(request),
    }
    if not is_partial(request) and request.GET.get("part") != "preview":
        return render(request, "healing/now.html", context)
    found = preview(now=datetime.now(UTC))
    rows = [
        (each.failing, [_row(one, each.failing.service) for one in each.answers])
        for each in found.failures
        if each.answers
    ]
    unanswered = [each.failing for each in found.failures if not each.answers]
    context |= {
        "found": found,
        "rows": rows,
        "unanswered": unanswered,
        "verdict": _verdict(found),
    }
    part = "_now" if is_partial(request) else "now"
    return render(request, f"healing/{part}.html", context)


def _row(found: WouldRun, service: str) -> AnswerRow:
    tone, sentence = _sentence(found)
    return AnswerRow(
        found=found,
        tone=tone,
        sentence=sentence,
        guardrails=guardrails([each.form() for each in found.verdicts]),
        steps=[(each, _TONES.get(each.state, "")) for each in found.steps],
        target_link=target_link(found.target_kind, found.target, service),
    )


def _sentence(found: WouldRun) -> tuple[str, str]:
    if found.unable:
        return "idle", f"It could do nothing: {found.unable}."
    if found.refused_by:
        return "warn", next(each.reason for each in found.verdicts if each.ruling == "refuse")
    if found.mode == "auto":
        return "ok", "It would begin by itself."
    if found.mode == "approve":
        return "warn", "It would wait for a person's yes."
    return "idle", "It would not begin: a person can start it."


def _verdict(found: Preview) -> Verdict:
    if not found.failures:
        return Verdict("ok", "check-circle", "Nothing fails, so nothing would be healed.")
    total = len(found.failures) + found.left_off
    count = sum(any(one.begins for one in each.answers) for each in found.failures)
    fails = f"{plural(total, 'failure')} now"
    sentence = f"{fails}: {f'{count:,} of them' if count else 'none'} would be healed."
    more = f" The {len(found.failures)} that fail longest are told." if found.left_off else ""
    tone = "info" if count == total else "warn"
    return Verdict(tone, "eye", sentence, f"A dry run: targets were looked at, not touched.{more}")
