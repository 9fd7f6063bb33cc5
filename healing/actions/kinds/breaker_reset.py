"""Breaker reset: close a breaker at once, where it is proven that what it guards is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from breakers.choices import BreakerState, CommandOutcome
from breakers.models import Breaker, Command, CommandReport
from breakers.selectors.breakers import breaker_find
from breakers.services.commands import breaker_reset
from breakers.services.overrides import Target
from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.overriding import document_version, override_refuse_persons
from healing.actions.proving import Proof, proof_taken, proof_words
from healing.actions.steering import (
    HEALER,
    ROLE,
    breaker_of,
    living,
    reason_of,
    refusals,
    waited,
)
from health.checks.options import require_range
from health.checks.weburl import web_url

# How long instances that hang are waited for once another has done it.
_LATECOMERS: Final = 15.0


@dataclass(frozen=True)
class ResetParameters:
    """`breaker` is its name in the target's service, or `service/name`; without it the target must
    be a breaker. Without `instance`: in every instance.

    The proof is a GET to `url` that succeeds; or the check `check`, or else every critical check of
    the service that the breaker is named after, having passed `passes` times in a row; or else
    `calls` of the breaker's own calls in the last half minute, none of which failed.
    """

    breaker: str = ""
    instance: str = ""
    url: str = ""
    check: str = ""
    passes: int = 2
    calls: int = 3


@action("breaker_reset", "Reset a breaker after proof")
class BreakerReset(Action[ResetParameters]):
    """A breaker that was closed too early opens again by itself, so that it is safe to leave."""

    Parameters = ResetParameters
    safe_to_leave = True
    repeatable = True
    url_secrets = frozenset({"url"})

    def validate(self, parameters: ResetParameters) -> None:
        if parameters.url:
            web_url("url", parameters.url)
        require_range("passes", parameters.passes, 1, 20)
        require_range("calls", parameters.calls, 1, 100_000)

    def hosts(self, parameters: ResetParameters) -> tuple[tuple[str, int], ...]:
        if not parameters.url:
            return ()
        url = web_url("url", parameters.url)
        return ((url.host or "", url.port or 0),)

    def effect(self, parameters: ResetParameters, context: Context) -> str:
        target = _target(parameters, context)
        place = f"instance {target.instance}" if target.instance else "every instance"
        proof = proof_words(_proof(parameters, target))
        return (
            f"Closes the breaker {target.object_id}, which is {_state(target, context)}, in {place}, "
            f"if {proof}"
        )

    def act(self, parameters: ResetParameters, context: Context) -> Done:
        target = _target(parameters, context)
        override_refuse_persons(target)
        proven = proof_taken(_proof(parameters, target), context)
        # A proof takes its time. What a person decides from here on shows by the version.
        seen = document_version(target.service)
        override_refuse_persons(target)
        with refusals():
            [command] = breaker_reset(
                target=target,
                reason=reason_of(context),
                actor=HEALER,
                role=ROLE,
                if_match=seen,
                now=context.now(),
            )
        told = _told(command, target, context)
        return Done(f"Proven: {proven}. {told}", {"command": str(command.id)})

    def finished(self, parameters: ResetParameters, context: Context) -> bool | None:
        state = _state(_target(parameters, context), context)
        return True if state == BreakerState.CLOSED else None


def _target(parameters: ResetParameters, context: Context) -> Target:
    return Target.of_breaker(*breaker_of(parameters.breaker, context), parameters.instance)


def _proof(parameters: ResetParameters, target: Target) -> Proof:
    return Proof(
        target.service,
        target.name,
        web_url("url", parameters.url) if parameters.url else None,
        parameters.check,
        parameters.passes,
        parameters.calls,
    )


def _state(target: Target, context: Context) -> str:
    try:
        return breaker_find(target.service, target.name, context.now()).state
    except Breaker.DoesNotExist:
        raise ActionFailed(f"There is no breaker {target.object_id}", permanent=True) from None


def _told(command: Command, target: Target, context: Context) -> str:
    """What the instances report. Raises `ActionFailed` where none of them closed it."""
    alive = [each.instance for each in living(target.service, context)]
    expected = [target.instance] if target.instance else alive

    def all_reported() -> list[CommandReport] | None:
        found = list(command.reports.all())
        return found if {each.instance for each in found} >= set(expected) else None

    reports = waited(all_reported, context, _LATECOMERS) or list(command.reports.all())
    closed = [each.instance for each in reports if each.outcome == CommandOutcome.SUCCEEDED]
    if not closed:
        said = "; ".join(f"{each.instance}: {each.output}" for each in reports)
        raise ActionFailed(f"No instance closed {target.object_id}", output=said)
    return f"{target.object_id} begins anew in {len(closed)} of {len(expected)} instances"
