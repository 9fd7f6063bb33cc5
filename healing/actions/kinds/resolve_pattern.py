"""Resolve an error pattern: what made it was healed, and it has been quiet since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from analytics.choices import PatternState
from analytics.models import ErrorPattern
from analytics.services.pattern_decisions import Terms, pattern_decide
from healing.actions.base import Action, ActionFailed, Context, Done, action
from healing.actions.steering import HEALER, reason_of, refusals
from healing.choices import TargetKind
from health.checks.options import OptionError
from health.checks.words import one_line


@dataclass(frozen=True)
class ResolveParameters:
    """`pattern` is an id; without it the target must be a pattern. `in_version` names the version
    of the service that has the mend, or is `now` for the one that runs."""

    pattern: str = ""
    in_version: str = ""


@action("resolve_pattern", "Resolve an error pattern")
class ResolvePattern(Action[ResolveParameters]):
    """Errors that come all the same make it regressed. Undone, it is open again."""

    Parameters = ResolveParameters
    undoes_itself = True
    repeatable = True

    def validate(self, parameters: ResolveParameters) -> None:
        # A placeholder for the target is put in later.
        if parameters.pattern and "{" not in parameters.pattern:
            try:
                UUID(parameters.pattern)
            except ValueError:
                raise OptionError("pattern", "must be the id of a pattern") from None

    def effect(self, parameters: ResolveParameters, context: Context) -> str:
        found = _pattern(parameters, context)
        return f"Resolves the pattern “{_title(found)}”, which is {found.state}"

    def observe(self, parameters: ResolveParameters, context: Context) -> dict[str, Any]:
        return {"state": str(_pattern(parameters, context).state)}

    def act(self, parameters: ResolveParameters, context: Context) -> Done:
        found = _pattern(parameters, context)
        if found.state == PatternState.IGNORED:
            raise ActionFailed(
                "Somebody ignores this pattern: that is theirs to end", permanent=True
            )
        if found.state == PatternState.RESOLVED:
            return Done("It was resolved already")
        with refusals():
            pattern_decide(
                pattern_id=found.id,
                decision="resolve",
                actor=HEALER,
                reason=reason_of(context),
                now=context.now(),
                terms=Terms(in_version=parameters.in_version),
            )
        return Done(f"Resolved “{_title(found)}”, which was {found.state}")

    def finished(self, parameters: ResolveParameters, context: Context) -> bool | None:
        return bool(_pattern(parameters, context).state == PatternState.RESOLVED)

    def undo(self, parameters: ResolveParameters, context: Context) -> Done:
        found = _pattern(parameters, context)
        if found.state != PatternState.RESOLVED or context.before["state"] == found.state:
            return Done(f"It is {found.state}: left as it is")
        with refusals():
            pattern_decide(
                pattern_id=found.id,
                decision="reopen",
                actor=HEALER,
                reason=f"put back: {reason_of(context)}",
                now=context.now(),
            )
        return Done(f"Opened “{_title(found)}” again")


def _pattern(parameters: ResolveParameters, context: Context) -> ErrorPattern:
    subject = context.subject
    named = parameters.pattern or (subject.name if subject.kind == TargetKind.PATTERN else "")
    if not named:
        raise ActionFailed("No pattern is named, and the target is none", permanent=True)
    try:
        return ErrorPattern.objects.get(id=UUID(named))
    except (ValueError, ErrorPattern.DoesNotExist):
        raise ActionFailed(f"There is no pattern {named}", permanent=True) from None


def _title(pattern: ErrorPattern) -> str:
    return f"{pattern.service}: {pattern.type}: {one_line(pattern.template)}"
