"""What an action is: typed parameters, its exact effect told beforehand, the act, and its undoing.

An action is a class in a file of its own with `@action("name", "Label")`. Parameters are a frozen
dataclass that `options_from` reads; argv lists and typed values, never a shell. It raises
`ActionFailed` for what is wrong with the target; any other exception is a fault of the action, and
fails its step too. Texts never carry a parameter that is marked secret.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from healing.domain.subject import Subject
from health.checks.addresses import Addresses
from health.checks.options import options_from

P = TypeVar("P")


class ActionFailed(Exception):
    """The target refused, or did not do it in time; the message is one line for people.

    `permanent`: another attempt would end the same. `output` is what the target said.
    """

    def __init__(self, message: str, *, permanent: bool = False, output: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.output = output


class LeaseLost(Exception):
    """Another worker advances the run: whatever this one was doing, it writes nothing any more."""


@dataclass(frozen=True)
class Context:
    """What one execution may use beside its parameters.

    `key` is the same for every attempt of this step, for targets that know idempotence. `deadline`
    is by `clock` (monotonic seconds). `before` is what `observe` gave right before the act.
    `pause` waits so many seconds, and raises `LeaseLost` where the run went to another worker.
    `actor` is how the audit trail names whoever acts.
    """

    subject: Subject
    key: str
    started_at: datetime
    deadline: float
    clock: Callable[[], float]
    now: Callable[[], datetime]
    pause: Callable[[float], None]
    addresses: Addresses
    actor: str
    reason: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds that are left, never less than 0."""
        return max(0.0, self.deadline - self.clock())


@dataclass(frozen=True)
class Done:
    """What an act came to: `output` for people, `after` what is kept of it (JSON)."""

    output: str = ""
    after: Mapping[str, Any] = field(default_factory=dict)


class Action(ABC, Generic[P]):
    """One kind of action.

    `safe_to_leave`: what it does need not be undone where the run fails later (a restart, a
    refilled cache). `undoes_itself`: `undo` puts back what `before` tells. An action that is
    neither needs a `compensate` in its step. `repeatable`: to do it twice is no worse than once.
    `variable` is the story's variable (in lower case) that must be true for more than observing.
    `public` are options that people read elsewhere, where no output of a step is cleaned.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    Parameters: type[P]
    secrets: ClassVar[frozenset[str]] = frozenset()
    url_secrets: ClassVar[frozenset[str]] = frozenset()
    public: ClassVar[frozenset[str]] = frozenset()
    safe_to_leave: ClassVar[bool] = False
    undoes_itself: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False
    variable: ClassVar[str] = ""

    def parse(self, given: Mapping[str, Any]) -> P:
        """Parameters from JSON; raises `OptionError`, which names the one that is wrong."""
        parameters = options_from(self.Parameters, given)
        self.validate(parameters)
        return parameters

    def validate(self, parameters: P) -> None:
        """Refuse parameters that cannot work together; raises `OptionError`."""

    def variable_of(self, parameters: Mapping[str, Any]) -> str:
        """The story's variable that governs it with these parameters (as JSON gives them, before
        any variable is put in): `variable`, unless what it does depends on them."""
        return self.variable

    def hosts(self, parameters: P) -> tuple[tuple[str, int], ...]:
        """Hosts and ports that it calls; looked at when a target is saved."""
        return ()

    @abstractmethod
    def effect(self, parameters: P, context: Context) -> str:
        """The exact effect that `act` would have on the real target now, in words, with the names
        and numbers that it would touch. Looks, and changes nothing. Raises `ActionFailed`."""

    def observe(self, parameters: P, context: Context) -> dict[str, Any]:
        """What `finished` and `undo` need to know of the target before the act (JSON)."""
        return {}

    @abstractmethod
    def act(self, parameters: P, context: Context) -> Done:
        """Do it, and wait until it took effect. Raises `ActionFailed`."""

    def finished(self, parameters: P, context: Context) -> bool | None:
        """Whether an act that nobody saw the end of took effect; None where that cannot be told."""
        return None

    def undo(self, parameters: P, context: Context) -> Done:
        """Put back what `context.before` tells. Raises `ActionFailed`."""
        raise ActionFailed(f"{self.label} cannot be undone", permanent=True)


ACTIONS: dict[str, Action[Any]] = {}


def action(name: str, label: str) -> Callable[[type[Action[Any]]], type[Action[Any]]]:
    """Registers an action under its `name`; `label` is what people read."""

    def register(cls: type[Action[Any]]) -> type[Action[Any]]:
        cls.name, cls.label = name, label
        ACTIONS[name] = cls()
        return cls

    return register
