"""Reads a kind's options from JSON, and says which one is wrong and why."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

# A value that does not fit; None may be a value of its own.
_MISFIT = object()


class OptionError(ValueError):
    """An option of a target is missing, unknown or wrong; `option` names it."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option
        self.message = message


def options_from(options: type[T], target: Mapping[str, Any]) -> T:
    """An instance of the dataclass `options` from a JSON object; raises `OptionError`.

    Each value must have the type of its field: str, int, float, bool, a list or an object of
    these, one of several types, None where the field allows it, or any JSON (`Any`). A whole number
    is a float where one is asked for.
    """
    if not isinstance(target, Mapping):
        raise OptionError("target", "must be an object of options")
    fields, hints = _declared(options)  # type: ignore[arg-type]
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


@functools.cache
def _declared(options: type[Any]) -> tuple[dict[str, dataclasses.Field[Any]], dict[str, Any]]:
    """The fields and types of a dataclass; to read the types takes longer than a short probe."""
    fields = {each.name: each for each in dataclasses.fields(options)}
    return fields, typing.get_type_hints(options)


def _value(name: str, hint: Any, given: Any) -> Any:
    read = _read(hint, given)
    if read is _MISFIT:
        raise OptionError(name, f"must be {_words(hint)}")
    return read


def _read(hint: Any, given: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        fitting = (_read(each, given) for each in arguments)
        return next((each for each in fitting if each is not _MISFIT), _MISFIT)
    if hint is Any:
        return given
    if hint is type(None):
        return None if given is None else _MISFIT
    if origin is tuple:
        if not isinstance(given, list | tuple):
            return _MISFIT
        read = tuple(_read(arguments[0], each) for each in given)
        return _MISFIT if _MISFIT in read else read
    if origin in (dict, Mapping):
        if not isinstance(given, Mapping):
            return _MISFIT
        pairs = {str(key): _read(arguments[1], value) for key, value in given.items()}
        return _MISFIT if _MISFIT in pairs.values() else pairs
    return _scalar(hint, given)


def _scalar(hint: Any, given: Any) -> Any:
    if hint is bool:
        return given if isinstance(given, bool) else _MISFIT
    if hint in (int, float):
        if isinstance(given, bool) or not isinstance(given, int | float):
            return _MISFIT
        if not math.isfinite(given) or (hint is int and given != int(given)):
            return _MISFIT
        return hint(given)
    return given if isinstance(given, str) and "\x00" not in given else _MISFIT


def _words(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if isinstance(hint, types.UnionType):
        return " or ".join(_words(each) for each in typing.get_args(hint))
    if origin is tuple:
        return f"a list, each {_words(typing.get_args(hint)[0])}"
    if origin in (dict, Mapping):
        return "an object of texts"
    return {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}.get(
        hint, "null"
    )


def require_host(option: str, host: str) -> None:
    """Refuse what cannot be the name or the address of a host; raises `OptionError`."""
    text = host.removesuffix(".")
    if not text or len(text) > 253 or re.search(r"[\s/@?#\\\x00-\x1f\x7f]", text):
        raise OptionError(option, "must be the name or the address of a host")
    if ":" not in text and any(not 0 < len(label) < 64 for label in text.split(".")):
        raise OptionError(option, "must be a name whose parts have 1 to 63 characters")


def require_range(option: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside `low`..`high`; raises `OptionError`."""
    if not low <= value <= high:
        raise OptionError(option, f"must be between {low:g} and {high:g}")
