"""What a kind of channel is: typed options, a message made into its form, one attempt to send it.

A kind is a class in a folder of its own with `@kind("name", "Label")`. It says which of its options
are secrets and where they would be sent. `send` makes one attempt within the deadline of its caller
and gives an `Outcome`; what a receiver or the network does wrong is an outcome, never an exception.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, Generic, TypeVar
from uuid import UUID

from alerting.choices import AttemptOutcome, Purpose
from alerting.domain.messages import Message
from health.checks.addresses import Addresses
from health.checks.options import options_from

O = TypeVar("O")  # noqa: E741

# Within which a kind ends an attempt, from the look-up of the name to the last byte of the answer.
ATTEMPT_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Envelope:
    """What one attempt carries. `id` and `created_at` are those of the delivery, alike in each
    attempt; `at` is the moment of this one."""

    id: UUID
    message: Message
    purpose: Purpose
    channel: str
    created_at: datetime
    at: datetime

    @property
    def happening(self) -> str:
        """`alert.firing`, `alert.resolved`, `test` or `report`."""
        if self.purpose == Purpose.ALERTS:
            return f"alert.{self.message.status}"
        return str(self.purpose)


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    `request` is what was sent, for people; the caller masks secrets in all of it. `retry_after` in
    seconds, where the receiver asks for it. `gone`: it says that nobody will listen there again.
    """

    verdict: AttemptOutcome
    request: Mapping[str, Any] = field(default_factory=dict)
    status: int | None = None
    answer: str = ""
    error: str = ""
    retry_after: float | None = None
    gone: bool = False


@dataclass(frozen=True)
class Unclear:
    """A receiver was asked, and what it answered shows nothing of the secrets: `said` is that."""

    said: str


class Kind(ABC, Generic[O]):
    """One kind of channel. `Options` is a frozen dataclass; `options_from` reads it from JSON."""

    name: ClassVar[str]
    label: ClassVar[str]
    Options: type[O]
    # Options whose value is a secret whole, and URLs of which only the password is.
    secrets: ClassVar[frozenset[str]] = frozenset()
    url_secrets: ClassVar[frozenset[str]] = frozenset()
    # Secrets that prove who sends and never leave the site: they may stay when the target moves.
    kept_here: ClassVar[frozenset[str]] = frozenset()
    # In words, by what `prove` asks a receiver, and why it does not where it gives None.
    asked_by: ClassVar[str] = ""
    unasked: ClassVar[str] = "nothing asks its receiver that tells nobody"

    def missing(self) -> str:
        """What must be installed or set before this kind can send; empty where nothing is."""
        return ""

    def parse(self, target: Mapping[str, Any]) -> O:
        """The options of a target; raises `OptionError`, which names the option."""
        options = options_from(self.Options, target)
        self.validate(options)
        return options

    def validate(self, options: O) -> None:
        """Refuse options that cannot work together; raises `OptionError`."""

    def verify(self, options: O) -> None:
        """Look more closely than each attempt does, once, when a channel is saved; raises
        `OptionError`."""

    def completed(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """A new target with what the site itself makes for it, such as a secret."""
        return dict(target)

    @abstractmethod
    def destinations(self, options: O) -> tuple[tuple[str, str, int], ...]:
        """Scheme, host and port of whatever is called; looked at when the channel is saved."""

    async def prove(self, options: O, addresses: Addresses) -> Outcome | Unclear | None:
        """Whether the receiver takes the secrets, by a way that tells nobody anything; None where
        there is no such way. Raises nothing, as `send`."""
        return None

    @abstractmethod
    async def send(self, options: O, envelope: Envelope, addresses: Addresses) -> Outcome:
        """One attempt. Raises nothing for what the receiver or the network does wrong."""


KINDS: dict[str, Kind[Any]] = {}


def kind(name: str, label: str) -> Callable[[type[Kind[Any]]], type[Kind[Any]]]:
    """Registers a kind under its `name`; `label` is what people read."""

    def register(cls: type[Kind[Any]]) -> type[Kind[Any]]:
        cls.name, cls.label = name, label
        KINDS[name] = cls()
        return cls

    return register
