"""Environment variables as one typed table, and those that configure a protected service.

A table is a class whose attributes are variables; an instance reads them from an environment:

    class Variables(Table):
        retry_max_attempts = RETRY.integer(3, "Attempts of one call, the first included", minimum=1)

    Variables({"RETRY_MAX_ATTEMPTS": "5"}).retry_max_attempts   # 5

The variable's name is the attribute's in upper case. An empty value counts as unset. Everything
that is set is checked at the first use of any attribute; a wrong value raises `ConfigError`.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast, overload

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DEFAULT = "default"
ENVIRONMENT = "environment"
OVERRIDE = "override"


class ConfigError(Exception):
    """A variable has a value that cannot be used; the message is one sentence for the operator."""


class Kind(Protocol[T_co]):
    """How a variable's text is read. `parse` raises ValueError for anything not `allowed`."""

    @property
    def allowed(self) -> str: ...

    def parse(self, text: str) -> T_co: ...

    def mask(self, text: str) -> str: ...


class Plain:
    """Shown as it is."""

    def mask(self, text: str) -> str:
        return text


_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


@dataclass(frozen=True)
class Boolean(Plain):
    """true/false, 1/0, yes/no, on/off in any case."""

    allowed: str = "true or false (also 1/0, yes/no, on/off)"

    def parse(self, text: str) -> bool:
        try:
            return _WORDS[text.lower()]
        except KeyError:
            raise ValueError(text) from None


def _range(noun: str, minimum: float, maximum: float | None) -> str:
    if maximum is None:
        return f"{noun}, {minimum:g} or more"
    return f"{noun} from {minimum:g} to {maximum:g}"


@dataclass(frozen=True)
class Integer(Plain):
    """A whole number within bounds, both included."""

    minimum: int = 0
    maximum: int | None = None

    @property
    def allowed(self) -> str:
        return _range("a whole number", self.minimum, self.maximum)

    def parse(self, text: str) -> int:
        # int() also reads "1_000" and digits of other scripts; an operator means neither.
        digits = text[1:] if text[:1] in "+-" else text
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
            raise ValueError(text)
        value = int(text)
        if value < self.minimum or (self.maximum is not None and value > self.maximum):
            raise ValueError(text)
        return value


@dataclass(frozen=True)
class Number(Plain):
    """A finite number within bounds, both included unless `positive` excludes zero."""

    minimum: float = 0.0
    maximum: float | None = None
    positive: bool = False

    @property
    def allowed(self) -> str:
        if self.positive and self.maximum is None:
            return "a number greater than 0"
        return _range("a number", self.minimum, self.maximum)

    def parse(self, text: str) -> float:
        value = float(text)
        if "_" in text or not math.isfinite(value) or value < self.minimum:
            raise ValueError(text)
        if (self.positive and value == 0) or (self.maximum is not None and value > self.maximum):
            raise ValueError(text)
        return value


class Variable(Generic[T]):
    """One variable of a table: what it means, how it is read, and whose it is.

    `default` is a value, or a function of the table for defaults that follow other variables.
    `owner` is the area that gives the variable its effect.
    """

    name: str

    def __init__(
        self,
        kind: Kind[T],
        default: T | Callable[[Any], T],
        help: str,
        *,
        section: str,
        owner: str,
        secret: bool = False,
        kept: bool = False,
    ) -> None:
        self.kind = kind
        self.default = default
        self.help = help
        self.section = section
        self.owner = owner
        self.secret = secret
        self.kept = kept

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.name = attribute.upper()

    @overload
    def __get__(self, table: None, owner: type) -> Variable[T]: ...
    @overload
    def __get__(self, table: Table, owner: type) -> T: ...
    def __get__(self, table: Table | None, owner: type) -> Variable[T] | T:
        if table is None:
            return self
        return cast("T", table.effective(self.name).value)

    def parse(self, text: str) -> T:
        try:
            return self.kind.parse(text)
        except ValueError:
            raise ConfigError(
                f"{self.name} is {self.mask(text)!r}, but must be {self.kind.allowed}."
            ) from None

    def mask(self, text: str) -> str:
        """The text as it may be shown: secrets hidden, passwords inside URLs too."""
        if not text:
            return text
        return "********" if self.secret else self.kind.mask(text)

    def default_for(self, table: Any) -> T:
        if callable(self.default):
            return self.default(table)
        return self.default


class Effective(NamedTuple):
    """A value and where it came from."""

    value: Any
    source: str


@dataclass(frozen=True)
class Section:
    """A group of variables with one heading and one owner."""

    title: str
    owner: str

    def variable(
        self,
        kind: Kind[T],
        default: T | Callable[[Any], T],
        help: str,
        *,
        secret: bool = False,
        kept: bool = False,
    ) -> Variable[T]:
        return Variable(
            kind, default, help, section=self.title, owner=self.owner, secret=secret, kept=kept
        )

    def boolean(self, default: bool, help: str) -> Variable[bool]:
        return self.variable(Boolean(), default, help)

    def integer(
        self, default: int, help: str, *, minimum: int = 0, maximum: int | None = None
    ) -> Variable[int]:
        return self.variable(Integer(minimum, maximum), default, help)

    def number(self, default: float, help: str, *, positive: bool = True) -> Variable[float]:
        return self.variable(Number(positive=positive), default, help)


class Table:
    """The effective values of a class's variables."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._given: dict[str, Effective] | None = None
        self._defaults: dict[str, Effective] = {}
        self._overrides: dict[str, Effective] = {}

    @classmethod
    @functools.cache  # a class has those that it was written with; whoever asks changes nothing
    def variables(cls) -> Mapping[str, Variable[Any]]:
        """All variables by name, in the order of their declaration, inherited ones first."""
        return {
            item.name: item
            for each in reversed(cls.__mro__)
            for item in vars(each).values()
            if isinstance(item, Variable)
        }

    def effective(self, name: str) -> Effective:
        """The value in use and its source."""
        if name in self._overrides:
            return self._overrides[name]
        if self._given is None:
            self._given = self._read()
        if name in self._given:
            return self._given[name]
        if name not in self._defaults:
            variable = self.variables()[name]
            self._defaults[name] = self.resolve_default(variable)
        return self._defaults[name]

    def resolve_default(self, variable: Variable[Any]) -> Effective:
        """What stands where the environment says nothing."""
        return Effective(variable.default_for(self), DEFAULT)

    def check(self) -> None:
        """Read and check every variable that is set; raises ConfigError for the first wrong one."""
        if self._given is None:
            self._given = self._read()

    def source(self, name: str) -> str:
        """Where the value in use came from, e.g. `environment` or `default`."""
        return self.effective(name).source

    def is_set(self, name: str) -> bool:
        """Whether someone chose the value, so that it outranks a more general choice."""
        return self.source(name) in (ENVIRONMENT, OVERRIDE)

    @contextmanager
    def override(self, **values: Any) -> Iterator[None]:
        """Replace values, by attribute name, for the time of a `with` block."""
        table = self.variables()
        for attribute in values:
            if attribute.upper() not in table:
                raise AttributeError(attribute)
        overrides, defaults = self._overrides, self._defaults
        self._overrides = overrides | {
            attribute.upper(): Effective(value, OVERRIDE) for attribute, value in values.items()
        }
        # Defaults may follow from other values: those of the block are not those around it.
        self._defaults = {}
        try:
            yield
        finally:
            self._overrides, self._defaults = overrides, defaults

    def suspects(self) -> list[tuple[str, str]]:
        """Variables of the environment that look misspelt, each with the nearest known name."""
        # Imported here, so that `import breakers.runtime` stays fast.
        from difflib import get_close_matches

        known = self.variables()
        prefixes = tuple(
            {"_".join(name.split("_")[:2]) + "_" for name in known if name.count("_") > 1}
        )
        found = []
        for name in sorted(set(self._environ) - set(known)):
            likeness = 0.5 if name.startswith(prefixes) else 0.86
            found += [(name, near) for near in get_close_matches(name, known, 1, likeness)]
        return found

    def _read(self) -> dict[str, Effective]:
        given = {}
        for name, variable in self.variables().items():
            text = self._environ.get(name, "").strip()
            if text:
                given[name] = Effective(variable.parse(text), ENVIRONMENT)
        return given


BREAKER = Section("Circuit breaker", owner="runtime")
GRAPH = Section("Microsoft Graph circuit breaker", owner="runtime")
REDIS = Section("Redis circuit breaker", owner="runtime")
DATABASE = Section("Database circuit breaker", owner="runtime")
RETRY = Section("Retry", owner="runtime")
FALLBACK = Section("Fallback", owner="runtime")
BULKHEAD = Section("Bulkhead isolation", owner="runtime")
CORRELATION = Section("Error correlation", owner="first-light")


class ClientVariables(Table):
    """What configures the calls of a protected service."""

    circuit_breaker_enabled = BREAKER.boolean(True, "Whether circuit breakers guard calls")
    circuit_breaker_failure_threshold = BREAKER.integer(
        5, "Failures in a row that open a breaker", minimum=1
    )
    circuit_breaker_timeout_seconds = BREAKER.number(
        60.0, "Seconds that a breaker stays open before it lets a probe through"
    )
    circuit_breaker_half_open_max_calls = BREAKER.integer(
        3, "Calls that a half-open breaker lets through as probes", minimum=1
    )

    graph_api_circuit_breaker_enabled = GRAPH.boolean(
        True, "Whether the breaker of Microsoft Graph guards calls"
    )
    graph_api_failure_threshold = GRAPH.integer(
        3, "Failures in a row that open the breaker of Microsoft Graph", minimum=1
    )
    graph_api_timeout_seconds = GRAPH.number(
        120.0, "Seconds that the breaker of Microsoft Graph stays open"
    )

    redis_circuit_breaker_enabled = REDIS.boolean(True, "Whether the breaker of Redis guards calls")
    redis_failure_threshold = REDIS.integer(
        5, "Failures in a row that open the breaker of Redis", minimum=1
    )
    redis_timeout_seconds = REDIS.number(30.0, "Seconds that the breaker of Redis stays open")

    database_circuit_breaker_enabled = DATABASE.boolean(
        True, "Whether the breaker of the database guards calls"
    )
    database_failure_threshold = DATABASE.integer(
        3, "Failures in a row that open the breaker of the database", minimum=1
    )
    database_timeout_seconds = DATABASE.number(
        60.0, "Seconds that the breaker of the database stays open"
    )

    retry_enabled = RETRY.boolean(True, "Whether failed calls are tried again")
    retry_max_attempts = RETRY.integer(3, "Attempts of one call, the first included", minimum=1)
    retry_base_delay_ms = RETRY.number(
        1000.0, "Milliseconds before the second attempt; doubled before each further one"
    )
    retry_max_delay_ms = RETRY.number(30000.0, "Longest wait between two attempts, milliseconds")
    retry_jitter_enabled = RETRY.boolean(True, "Whether waits are spread at random")
    retry_budget_enabled = RETRY.boolean(
        True,
        "Whether the retries of a dependency share a budget, so that an outage is not amplified",
    )
    retry_budget_limit = RETRY.integer(100, "Retries per dependency in any 60 seconds")

    fallback_enabled = FALLBACK.boolean(True, "Whether fallbacks answer for failed calls")
    fallback_cache_enabled = FALLBACK.boolean(
        True, "Whether answers are kept to be served when the call fails"
    )
    fallback_cache_max_age_minutes = FALLBACK.number(
        60.0, "Age in minutes past which a kept answer is no longer served"
    )
    degraded_mode_enabled = FALLBACK.boolean(
        True, "Whether a service may run at a reduced level, as set on the dashboard"
    )
    feature_toggles_enabled = FALLBACK.boolean(
        True, "Whether features are switched by toggles set on the dashboard"
    )

    bulkhead_isolation_enabled = BULKHEAD.boolean(
        True, "Whether groups of operations have their own limits"
    )
    critical_operation_thread_pool_size = BULKHEAD.integer(
        10, "Concurrent calls of critical operations", minimum=1
    )
    user_tier_isolation_enabled = BULKHEAD.boolean(
        True, "Whether user tiers have reserved shares of each limit"
    )
    resource_limit_enforcement = BULKHEAD.boolean(
        True, "Whether limits on rate, time and memory are enforced"
    )

    error_correlation_enabled = CORRELATION.boolean(True, "Whether errors are joined into chains")
    error_correlation_window_minutes = CORRELATION.number(15.0, "Minutes between a chain's errors")
