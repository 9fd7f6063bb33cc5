"""The options of a kind of check as fields of a form: drawn from its dataclass, read back as JSON."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from health.views.option_words import Words, words_of

PREFIX: Final = "target."
# Blanks at their ends mean something.
_AS_TYPED: Final = frozenset({"keyword", "keyword_absent", "expect"})


class Kind(Protocol):
    """What has options: a kind of check, or of channel."""

    @property
    def name(self) -> str: ...

    @property
    def Options(self) -> type[Any]: ...  # noqa: N802

    @property
    def secrets(self) -> frozenset[str]: ...

    @property
    def url_secrets(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class Field:
    """One field of a form. `widget` is text, number, area, flag or select; the `value` of a flag
    is `on` or empty."""

    name: str
    label: str
    widget: str
    value: str = ""
    help: str = ""
    error: str = ""
    required: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    suggestions: str = ""
    wide: bool = False

    @property
    def id(self) -> str:
        return f"f-{self.name.replace('.', '-').replace('_', '-')}"

    @property
    def described(self) -> str:
        """The ids of what explains it."""
        parts = [("error", self.error), ("help", self.help)]
        return " ".join(f"{self.id}-{part}" for part, text in parts if text)


@dataclass(frozen=True)
class Option:
    """An option with the shape in which a form takes it: text, number, flag, lines, pairs, json,
    or mixed (numbers and texts with commas between)."""

    name: str
    shape: str
    default: Any
    required: bool
    nullable: bool
    secret: bool
    wide: bool
    words: Words

    def field(self, value: Any, text: str | None, error: str) -> Field:
        """The field, with the `text` that was sent, or else the `value` that holds."""
        widget = {"flag": "flag", "number": "number"}.get(self.shape, "text")
        choices: tuple[tuple[str, str], ...] = ()
        shown = self.text_of(value) if text is None else text
        if self.words.long:
            widget = "area"
        elif self.words.choices:
            widget = "select"
            values = dict.fromkeys((*self.words.choices, shown))
            choices = tuple((each, each or "either") for each in values)
        return Field(
            name=PREFIX + self.name,
            label=self.words.label,
            widget=widget,
            value=shown,
            help=self.words.help,
            error=error,
            required=self.required,
            choices=choices,
            wide=self.wide,
        )

    def text_of(self, value: Any) -> str:
        """A value as the form shows it."""
        if self.shape == "flag":
            return "on" if value else ""
        if value is None or (self.shape == "json" and value is self.default):
            return ""
        if self.shape == "lines":
            return "\n".join(map(str, value))
        if self.shape == "pairs":
            return "\n".join(f"{name}: {each}" for name, each in value.items())
        if self.shape == "json":
            return orjson.dumps(value).decode()
        if self.shape == "mixed" and isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        return f"{value:.15g}" if isinstance(value, float) else str(value)

    def unset(self, value: Any) -> bool:
        """Whether a value only says that there is none."""
        if self.required:
            return value is self.default or value in ([], {})
        return value is self.default and self.shape == "json"

    def value_of(self, text: str) -> Any:
        """The value that a text means. Raises `ValueError` that says what it must be."""
        if self.shape == "flag":
            return bool(text)
        typed = text if self.secret else text.replace("\r\n", "\n")
        if not typed.strip() and self.shape in ("number", "text", "mixed", "json"):
            return None if self.nullable else self.default
        if self.shape == "number":
            return number_of(typed)
        if self.shape == "lines":
            return [line.strip() for line in typed.splitlines() if line.strip()]
        if self.shape == "pairs":
            return _pairs(typed)
        if self.shape == "json":
            return _json(typed)
        if self.shape == "mixed":
            return _mixed(typed)
        kept = self.secret or self.words.long or self.name in _AS_TYPED
        return typed if kept else typed.strip()


def options_of(kind: Kind, words: Callable[[str, str], Words] = words_of) -> list[Option]:
    """The options of a kind, those that it needs first; `words` of a kind and an option."""
    hints = typing.get_type_hints(kind.Options)
    found = [
        _option(kind, each, hints[each.name], words(kind.name, each.name))
        for each in dataclasses.fields(kind.Options)
    ]
    return sorted(found, key=lambda each: not each.required)


def target_of(
    options: list[Option], sent: Mapping[str, str], former: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The target that a form asks for, and what is wrong with which option.

    What is as by default is left out, unless the `former` target has it.
    """
    target: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for option in options:
        try:
            value = option.value_of(sent.get(PREFIX + option.name, ""))
        except ValueError as error:
            errors[option.name] = str(error)
            continue
        if option.unset(value):
            continue
        if option.name in former or _plain(value) != _plain(option.default):
            target[option.name] = value
    return target, errors


def number_of(text: str) -> float | int:
    """A number. Raises `ValueError`."""
    try:
        number = float(text.strip())
    except ValueError:
        raise ValueError("must be a number") from None
    whole = number.is_integer() and abs(number) < 2**53
    return int(number) if whole else number


def _option(kind: Kind, field: dataclasses.Field[Any], hint: Any, words: Words) -> Option:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return Option(
        name=field.name,
        shape=_shape(hint),
        default=default,
        required=default is dataclasses.MISSING,
        nullable=type(None) in _members(hint),
        secret=field.name in kind.secrets,
        # An address is long.
        wide=field.name in kind.url_secrets,
        words=words,
    )


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _shape(hint: Any) -> str:
    members = [each for each in _members(hint) if each is not type(None)]
    if len(members) > 1 and str in members:
        return "mixed"
    if hint is Any:
        return "json"
    origin = typing.get_origin(members[0])
    if origin is tuple:
        return "lines"
    if origin is not None:
        return "pairs"
    return {bool: "flag", int: "number", float: "number"}.get(members[0], "text")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for line in filter(str.strip, text.replace("\r\n", "\n").split("\n")):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ValueError("needs a name, a colon and a value on each line")
        found[name.strip()] = value.strip()
    return found


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError('must be JSON: 3, true, "text"') from None


def _mixed(text: str) -> Any:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    values = [int(part) if part.isascii() and part.isdigit() else part for part in parts]
    return values[0] if len(values) == 1 else values
