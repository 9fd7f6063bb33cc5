"""What a kind of check is: typed options, one coroutine that probes, and what it found.

A kind is a class in a file of its own with `@kind("name")`. It says which of its options are
secrets, which address it will call, and runs within the deadline that its caller sets. It raises
`Failed` for what is wrong with the target and `Inconclusive` where it cannot tell; any other
exception is an error of the check itself and is never taken for an outage. Texts never carry an
option marked secret.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from health.checks.addresses import Addresses
from health.checks.options import options_from

O = TypeVar("O")  # noqa: E741


@dataclass(frozen=True)
class Observed:
    """One measurement with its unit (`ms`, `s`, `bytes`, `percent`, `1`)."""

    value: float
    unit: str = "1"


@dataclass(frozen=True)
class Finding:
    """What a run that came to an end says: `status` is `up` or `degraded`.

    `output` is one line for people. `latency_ms` where the kind measures better than the caller,
    who otherwise takes the time of the whole run. `memory` is kept until the next run; None leaves
    what was kept before.
    """

    status: str = "up"
    output: str = ""
    observed: Mapping[str, Observed] = field(default_factory=dict)
    latency_ms: float | None = None
    memory: Mapping[str, Any] | None = None


class Failed(Exception):
    """The target does not do what the check asks of it; the message is one line for people.

    `memory` as of a `Finding`: None leaves what the last run kept.
    """

    def __init__(
        self,
        output: str,
        observed: Mapping[str, Observed] | None = None,
        memory: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(output)
        self.output = output
        self.observed = dict(observed or {})
        self.memory = memory


class Inconclusive(Exception):
    """The run says nothing about the target; it is recorded as `withheld`, which changes no state.

    The message is one line for people: what must happen first.
    """

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass(frozen=True)
class Member:
    """Another check, as a composite sees it."""

    name: str
    state: str


@dataclass
class Progress:
    """What a run waits for, for whoever ends it at its deadline."""

    step: str = ""


@dataclass(frozen=True)
class Context:
    """What a run may use beside its options. `timeout` is in seconds; the caller enforces it.

    `deep` is false where DEEP_HEALTH_CHECKS_ENABLED is off: then reaching the target is enough.
    `members` are the checks that `members()` named. `interval`, in seconds, `last_push`
    and what the last push said are for the kind `push`; `watching_since` is when this site began
    to run, before which it can have heard nothing.
    """

    now: datetime
    timeout: float
    addresses: Addresses
    deep: bool = True
    memory: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[Member, ...] = ()
    interval: float = 0.0
    last_push: datetime | None = None
    pushed_status: str = ""
    pushed_output: str = ""
    watching_since: datetime | None = None
    progress: Progress = field(default_factory=Progress)

    def doing(self, step: str) -> None:
        """Note what the run waits for from now on: "waiting for the TLS handshake"."""
        self.progress.step = step


class CheckKind(ABC, Generic[O]):
    """One kind of check. `Options` is a frozen dataclass; `options_from` reads it from JSON."""

    name: ClassVar[str]
    label: ClassVar[str]
    Options: type[O]
    # Whether checks with the same target may share one run; not where a run depends on more than
    # the target: on what a check remembers, on heartbeats, on other checks.
    shared: ClassVar[bool] = True
    # Names of options whose value is a secret whole; `url_secrets` of URLs whose password is.
    secrets: ClassVar[frozenset[str]] = frozenset()
    url_secrets: ClassVar[frozenset[str]] = frozenset()

    def parse(self, target: Mapping[str, Any]) -> O:
        """The options of a target; raises `OptionError`, which names the option."""
        options = options_from(self.Options, target)
        self.validate(options)
        return options

    def validate(self, options: O) -> None:
        """Refuse options that cannot work together; raises `OptionError`."""

    @abstractmethod
    def hosts(self, options: O) -> tuple[tuple[str, int], ...]:
        """The hosts and ports that a run calls; empty where it calls nobody by address.

        They are looked at when the check is saved, and bound how many runs go to one host at once.
        """

    def load(self) -> None:
        """Import what runs need and few sites do; called before the first run, beside the loop."""

    def members(self, options: O) -> tuple[str, ...]:
        """The names of checks whose state a run reads."""
        return ()

    def due(self, options: O, context: Context) -> datetime | None:
        """When the next run is worth more than at its usual time; None for the usual time."""
        return None

    @abstractmethod
    async def run(self, options: O, context: Context) -> Finding:
        """Probe once. Raises `Failed` for what is wrong with the target."""


KINDS: dict[str, CheckKind[Any]] = {}


def kind(name: str, label: str) -> Callable[[type[CheckKind[Any]]], type[CheckKind[Any]]]:
    """Registers a kind under its `name`; `label` is what people read."""

    def register(cls: type[CheckKind[Any]]) -> type[CheckKind[Any]]:
        cls.name, cls.label = name, label
        KINDS[name] = cls()
        return cls

    return register
