"""Proof that what a breaker guards is well, before its breaker is closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Replace
from yarl import URL

from breakers.models import Breaker
from breakers.selectors.breakers import breaker_find
from healing.actions.asking import asked, shown
from healing.actions.base import ActionFailed, Context
from healing.actions.steering import waited
from health.checks.web import Request, phrase
from health.choices import HealthState
from health.models import Check, CheckStatus
from health.services.reprobes import JUST_RUN, reprobe

# Bins of ten seconds that must show no failure.
_LATEST: Final = 3
_WELL: Final = (HealthState.UP, HealthState.DEGRADED)


@dataclass(frozen=True)
class Proof:
    """What is asked for proof; the first that is there is what counts: a call to `url`, the check
    `check`, the checks of the service that the breaker is named after, the breaker's own calls."""

    service: str
    breaker: str
    url: URL | None
    check: str
    passes: int
    calls: int


def proof_words(proof: Proof) -> str:
    """What would have to be shown. Raises `ActionFailed` where nothing can show it."""
    if proof.url is not None:
        return f"GET {shown(proof.url)} succeeds"
    checks = _checks(proof)
    if checks:
        names = ", ".join(check.name for check in checks)
        return f"{names} passed {proof.passes} times in a row"
    return f"{proof.calls} of its calls succeeded lately and none failed"


def proof_taken(proof: Proof, context: Context) -> str:
    """How it is shown that the dependency is well. Raises `ActionFailed` where it is not."""
    if proof.url is not None:
        return _by_call(proof.url, context)
    checks = _checks(proof)
    return _by_checks(checks, proof.passes, context) if checks else _by_calls(proof, context)


def _by_call(url: URL, context: Context) -> str:
    answer = asked(Request(url), context)
    if not 200 <= answer.status < 300:
        raise ActionFailed(f"The proof call to {shown(url)} gave {phrase(answer.status)}")
    return f"GET {shown(url)} gave {phrase(answer.status)}"


def _checks(proof: Proof) -> list[Check]:
    enabled = Check.objects.filter(enabled=True).order_by("name")
    if not proof.check:
        # `microsoft_graph` guards calls to the service microsoft-graph.
        alike = enabled.annotate(alike=Replace(F("service__name"), Value("-"), Value("_")))
        return list(alike.filter(alike=proof.breaker.replace("-", "_"), critical=True))
    found = list(enabled.filter(name=proof.check))
    if not found:
        raise ActionFailed(f"There is no enabled check {proof.check!r}", permanent=True)
    return found


def _by_checks(checks: list[Check], passes: int, context: Context) -> str:
    began = context.now()
    ids = [check.id for check in checks]
    names = ", ".join(check.name for check in checks)
    statuses: QuerySet[CheckStatus] = CheckStatus.objects.filter(check_row__in=ids)
    reprobe(check_ids=ids, now=began)

    def shown_well() -> bool | None:
        run = statuses.filter(last_run_at__gte=began - JUST_RUN)
        well = run.filter(own_state__in=_WELL, successes__gte=passes)
        return True if well.count() == len(ids) else None

    if not waited(shown_well, context):
        ill = statuses.exclude(own_state__in=_WELL, successes__gte=passes)
        named = ill.select_related("check_row").order_by("check_row__name")
        said = "; ".join(f"{each.check_row.name}: {each.last_output}" for each in named)
        raise ActionFailed(f"Not proven well: {said or names}")
    return f"{names} passed {passes} times in a row"


def _by_calls(proof: Proof, context: Context) -> str:
    try:
        view = breaker_find(proof.service, proof.breaker, context.now())
    except Breaker.DoesNotExist:
        raise ActionFailed(
            f"There is no breaker {proof.service}/{proof.breaker}", permanent=True
        ) from None
    bins = [each for each in view.series[-_LATEST:] if each is not None]
    calls, failures = sum(each.calls for each in bins), sum(each.failures for each in bins)
    if failures or calls - failures < proof.calls:
        raise ActionFailed(
            f"Nothing proves that {proof.breaker} is well: of {calls} calls lately {failures} failed"
        )
    return f"{calls} calls succeeded lately and none failed"
