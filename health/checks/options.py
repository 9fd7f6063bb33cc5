"""Reads a kind's options from JSON, and says which one is wrong and why."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class OptionError(ValueError):
    """An option of a target is missing, unknown or wrong; `option` names it."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option
        self.message = message


def options_from(options: type[T], target: Mapping[str, Any]) -> T:
    """An instance of the dataclass `options` from a JSON object; raises `OptionError`.

    Each value must have the type of its field: str, int, float, bool, a list or an object of
    strings, or None where the field allows it. A whole number is a float where one is asked for.
    """
    if not isinstance(target, Mapping):
        raise OptionError("target", "must be an object of options")
    fields = {each.name: each for each in dataclasses.fields(options)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(options)
    unknown = sorted(set(target) - set(fields))
    if unknown:
        raise OptionError(unknown[0], f"is unknown; known are {', '.join(fields)}")
    values = {name: _value(name, hints[name], given) for name, given in target.items()}
    for name, each in fields.items():
        required = each.default is dataclasses.MISSING and (
            each.default_factory is dataclasses.MISSING
        )
        if required and values.get(name) in (None, ""):
            raise OptionError(name, "is required")
    return options(**values)


def _value(name: str, hint: Any, given: Any) -> Any:
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if given is None and type(None) in allowed:
        return None
    for each in allowed:
        if each is type(None):
            continue
        read = _read(each, given)
        if read is not None:
            return read
    raise OptionError(name, f"must be {' or '.join(_words(a) for a in allowed)}")


def _read(hint: Any, given: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(given, list | tuple):
            return None
        read = [_read(arguments[0], each) for each in given]
        return None if None in read else tuple(read)
    if origin in (dict, Mapping):
        if not isinstance(given, Mapping):
            return None
        pairs = {str(key): _read(arguments[1], value) for key, value in given.items()}
        return None if None in pairs.values() else pairs
    if hint is bool:
        return given if isinstance(given, bool) else None
    if hint in (int, float):
        if isinstance(given, bool) or not isinstance(given, int | float):
            return None
        if hint is int and given != int(given):
            return None
        return hint(given)
    return given if isinstance(given, str) and "\x00" not in given else None


def _words(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is tuple:
        return f"a list, each {_words(typing.get_args(hint)[0])}"
    if origin in (dict, Mapping):
        return "an object of texts"
    return {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}.get(
        hint, "null"
    )
