"""Arguments that cannot work are refused at construction, by field and value."""

from __future__ import annotations

import math
from typing import NoReturn

from breakers.runtime.variables import ConfigError


def refuse(name: str, value: object, allowed: str) -> NoReturn:
    """Raises ConfigError: `name` is `value`, but has to be `allowed`."""
    raise ConfigError(f"{name} is {value!r}, but has to be {allowed}")


def is_number(value: object) -> bool:
    """Whether `value` is a finite number that a float can hold (True and False are none)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def count(name: str, value: object, minimum: int = 1) -> None:
    """`value` has to be a whole number of `minimum` or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        refuse(name, value, f"a whole number of {minimum} or more")


def seconds(name: str, value: object, *, zero: bool = False) -> None:
    """`value` has to be a number of seconds above 0, or at least 0 where `zero` is allowed."""
    if not isinstance(value, int | float) or not is_number(value) or value < 0:
        refuse(
            name, value, "a number of seconds, 0 or more" if zero else "a number of seconds above 0"
        )
    if value == 0 and not zero:
        refuse(name, value, "a number of seconds above 0")


def rate(name: str, value: object, *, zero: bool = False) -> None:
    """`value` has to be a share of 1, above 0 unless `zero` is allowed."""
    if not isinstance(value, int | float) or not is_number(value) or not 0 <= value <= 1:
        refuse(name, value, "a number from 0 to 1")
    if value == 0 and not zero:
        refuse(name, value, "a number above 0, at most 1")


def exceptions(name: str, value: object, *, empty: bool = False) -> None:
    """`value` has to be an exception class or a tuple of them."""
    classes = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in classes) or (
        not classes and not empty
    ):
        refuse(name, value, "an exception class or a tuple of them")


def function(name: str, value: object, of: str) -> None:
    """`value` has to be something that can be called."""
    if not callable(value):
        refuse(name, value, f"a function of {of}")
