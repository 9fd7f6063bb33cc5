"""Composite: one state made of the states of other checks, by a rule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from health.checks.base import (
    CheckKind,
    Context,
    Failed,
    Finding,
    Inconclusive,
    Member,
    Observed,
    kind,
)
from health.checks.options import OptionError
from health.choices import HealthState

RULES: Final = ("all", "any", "at_least")
_BAD: Final = frozenset({HealthState.DOWN, HealthState.UNREACHABLE})
_SHOWN: Final = 5


@dataclass(frozen=True)
class CompositeOptions:
    """Options of a composite: the names of its members, and how many of them must work.

    `all` of them, `any` one of them, or `at_least` as many as the option of that name says. A
    member in maintenance does not count; `all` is then all of the rest.
    """

    members: tuple[str, ...]
    rule: str = "all"
    at_least: int | None = None


@kind("composite", "Composite")
class CompositeCheck(CheckKind[CompositeOptions]):
    Options = CompositeOptions
    shared = False

    def validate(self, options: CompositeOptions) -> None:
        if not options.members:
            raise OptionError("members", "must name at least one check")
        if len(set(options.members)) < len(options.members):
            raise OptionError("members", "must name each check once")
        if options.rule not in RULES:
            raise OptionError("rule", f"must be one of {', '.join(RULES)}")
        if (options.at_least is not None) != (options.rule == "at_least"):
            raise OptionError("at_least", "belongs to the rule at_least, which needs it")
        if options.at_least is not None and not 1 <= options.at_least <= len(options.members):
            raise OptionError("at_least", "must be from 1 to the number of members")

    def hosts(self, options: CompositeOptions) -> tuple[tuple[str, int], ...]:
        return ()

    def members(self, options: CompositeOptions) -> tuple[str, ...]:
        return options.members

    async def run(self, options: CompositeOptions, context: Context) -> Finding:
        by_state = _by_state(options, context.members)
        counted = len(options.members) - len(by_state[HealthState.MAINTENANCE])
        if not counted:
            raise Inconclusive("All members are in maintenance")
        needed = {"all": counted, "any": 1}.get(options.rule) or min(options.at_least or 1, counted)
        well, limping = len(by_state[HealthState.UP]), len(by_state[HealthState.DEGRADED])
        bad = sum(len(by_state[each]) for each in _BAD)
        words = f"{well + limping} of {counted} members work ({needed} must)"
        words += "".join(
            f"; {state}: {_names(by_state[state])}"
            for state in HealthState.values
            if state != HealthState.UP and by_state[state]
        )
        observed = {"working": Observed(well + limping), "members": Observed(counted)}
        if well >= needed:
            return Finding("up", words, observed)
        if well + limping >= needed:
            return Finding("degraded", words, observed)
        if counted - bad >= needed:
            # Those that are not known decide.
            raise Inconclusive(words)
        raise Failed(words, observed)


def _by_state(options: CompositeOptions, members: tuple[Member, ...]) -> dict[str, list[str]]:
    """The names of members by their state; one that is gone, or new, is unknown."""
    states = {member.name: member.state for member in members}
    found: dict[str, list[str]] = defaultdict(list)
    for name in options.members:
        found[states.get(name, HealthState.UNKNOWN)].append(name)
    return found


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
